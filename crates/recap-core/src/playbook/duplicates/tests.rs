use super::super::testing::playbook;
use super::*;

type Found = Vec<(String, String, How)>;

fn found(playbook: &Playbook, embeddings: &HashMap<BulletId, Vec<f32>>) -> Found {
    let name = |pair: Duplicate| (pair.ids[0].to_string(), pair.ids[1].to_string(), pair.how);
    duplicates(playbook, embeddings).into_iter().map(name).collect()
}

fn pair(a: &str, b: &str, how: How) -> (String, String, How) {
    (a.to_owned(), b.to_owned(), how)
}

const LONG: &str = "When paging through the songs of a playlist, ask for pages until one comes back empty, and keep what \
                    each page brings before asking for the next one";

#[test]
fn each_repeat_is_paired_with_the_first() {
    let playbook = playbook(&["check it", "other words here", "check it", "check it", "Check it!", "CHECK IT"]);
    let expected = [
        pair("a-1", "a-3", How::Exact),
        pair("a-1", "a-4", How::Exact),
        pair("a-1", "a-5", How::Normalised),
        pair("a-1", "a-6", How::Normalised),
    ];
    assert_eq!(found(&playbook, &HashMap::new()), expected);
}

#[test]
fn most_words_in_common_is_lexical() {
    let near = LONG.replace("empty", "bare");
    let far = LONG.replace("songs of a playlist", "rows of some other table").replace("empty", "bare");
    let playbook = playbook(&[LONG, &far, &near]);
    assert_eq!(found(&playbook, &HashMap::new()), [pair("a-1", "a-3", How::Lexical)]);
    let (id, how, score) = twin_of(&playbook, &near.replace("keep", "store")).unwrap();
    assert_eq!((id.as_str(), how), ("a-3", How::Lexical));
    assert!(score > LEAST_LEXICAL && score < 1.0);
}

#[test]
fn what_says_the_opposite_is_no_duplicate() {
    let never = LONG.replace("and keep", "and never keep");
    let of_five = LONG.replace("until one", "until 5");
    let of_six = LONG.replace("until one", "until 6");
    let playbook = playbook(&[LONG, &never, &of_five, &of_six]);
    let same = playbook.bullets.iter().map(|bullet| (bullet.id.clone(), vec![1.0, 0.5])).collect();
    assert_eq!(found(&playbook, &same), []);
    assert_eq!(twin_of(&playbook, &LONG.replace("until one", "until 7")), None);
}

#[test]
fn vectors_that_point_the_same_way_are_found_at_the_bound() {
    let playbook = playbook(&["one lesson", "another thing", "something else", "no vector"]);
    let at = |degrees: f32| vec![3.0 * degrees.to_radians().cos(), 3.0 * degrees.to_radians().sin(), 0.0];
    let names = ["a-1", "a-2", "a-3"].map(|id| id.parse::<BulletId>().unwrap());
    // cos 25.8° is 0.9003, cos 25.9° is 0.8996
    let [first, second, third] = names;
    let vectors = HashMap::from([(first, at(0.0)), (second, at(25.8)), (third, at(51.7))]);
    assert_eq!(found(&playbook, &vectors), [pair("a-1", "a-2", How::Embedding)]);
}

#[test]
fn a_pair_comes_once_with_the_strongest_way() {
    let near = LONG.replace("empty", "bare");
    let playbook = playbook(&[LONG, &near, LONG]);
    let vectors = playbook.bullets.iter().map(|bullet| (bullet.id.clone(), vec![0.1, 0.9])).collect();
    let expected = [pair("a-1", "a-3", How::Exact), pair("a-1", "a-2", How::Lexical)];
    assert_eq!(found(&playbook, &vectors), expected);
}

#[test]
fn vectors_of_other_spaces_and_of_no_direction_are_passed_over() {
    let playbook = playbook(&["one lesson", "another thing", "something else"]);
    let vectors = [vec![1.0, 0.0], vec![1.0, 0.0, 0.0], vec![0.0, 0.0]];
    let vectors = playbook.bullets.iter().zip(vectors).map(|(bullet, vector)| (bullet.id.clone(), vector)).collect();
    assert_eq!(found(&playbook, &vectors), []);
}

#[test]
fn lexical_pairs_are_all_that_comparing_all_finds() {
    let words = ["get", "the", "list", "of", "orders", "first", "then", "ask", "again", "for", "each"];
    let mut state = 7u64;
    let mut dice = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let base: Vec<&str> = (0..14).map(|_| words[dice(words.len())]).collect();
    let texts: Vec<String> = (0..60)
        .map(|_| {
            let mut text = base.clone();
            for _ in 0..dice(4) {
                let at = dice(text.len());
                text[at] = words[dice(words.len())];
            }
            text.truncate(14 - dice(3));
            text.join(" ")
        })
        .collect();
    let mut grams = Grams::default();
    let mut bags: Vec<Vec<u32>> = texts.iter().map(|text| grams.of(text)).collect();
    grams.rank(&mut bags);
    let mut found = similar::alike(&bags, grams.len(), usize::MAX, |_, _| true);
    found.sort_by_key(|(a, b, _)| (*a, *b));
    let mut expected = Vec::new();
    for a in 0..bags.len() {
        for b in a + 1..bags.len() {
            let both = similar::shared(&bags[a], &bags[b], 0).unwrap();
            let score = similar::dice(both, bags[a].len(), bags[b].len());
            if score >= LEAST_LEXICAL {
                expected.push((a, b, score));
            }
        }
    }
    assert!(expected.len() > 50, "{}", expected.len());
    assert_eq!(found, expected);
}

#[test]
fn a_playbook_of_one_template_has_a_bounded_answer() {
    let names = ["ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine"];
    let texts: Vec<String> = names.iter().flat_map(|a| names.iter().map(move |b| format!("{LONG} {a} {b}"))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let playbook = playbook(&texts);
    let found = duplicates(&playbook, &HashMap::new());
    assert!(found.len() <= MOST_TWINS * texts.len());
    assert_eq!(merges(&playbook, &found, 0).len(), 1);
}

#[test]
fn groups_become_one_merge_each() {
    let mut playbook = playbook(&["x one", "y two", "x one", "y two", "X one", "z three"]);
    playbook.bullets[2].credits.helpful.add(3, 0);
    playbook.bullets[3].created_ms = 5;
    let operations = merges(&playbook, &duplicates(&playbook, &HashMap::new()), 0);
    let ids = |ids: &[&str]| ids.iter().map(|id| id.parse().unwrap()).collect::<Vec<BulletId>>();
    let merge =
        |all: &[&str], into: &str| Operation::Merge { ids: ids(all), into: Some(into.parse().unwrap()), content: None };
    assert_eq!(operations, [merge(&["a-1", "a-3", "a-5"], "a-3"), merge(&["a-2", "a-4"], "a-2")]);
}

#[test]
fn an_operators_words_stay() {
    let mut playbook = playbook(&["x one", "x one", "x one"]);
    playbook.bullets[0].origin = Origin::Observed;
    playbook.bullets[1].credits.helpful.add(9, 0);
    playbook.bullets[2].origin = Origin::Operator;
    let found = duplicates(&playbook, &HashMap::new());
    let into = |operations: &[Operation]| match operations {
        [Operation::Merge { into: Some(into), .. }] => into.to_string(),
        _ => String::new(),
    };
    assert_eq!(into(&merges(&playbook, &found, 0)), "a-3");
    playbook.bullets.pop();
    assert_eq!(into(&merges(&playbook, &duplicates(&playbook, &HashMap::new()), 0)), "a-2");
}

#[test]
fn new_words_have_a_near_twin_where_points_say_so() {
    let playbook = playbook(&["Sign in before you call", "Sort the rows", "Take at most 5 rows"]);
    let points: HashMap<&str, Vec<f32>> = HashMap::from([
        ("Sign in before you call", vec![1.0, 0.1]),
        ("Take at most 5 rows", vec![0.1, 1.0]),
        ("Authenticate first", vec![1.0, 0.2]),
        ("Never take more than 9 rows", vec![0.1, 1.0]),
        ("Count pages", vec![1.0, 1.0]),
    ]);
    let twin = |content: &str| near_twin_of(&playbook, content, |content| points.get(content).map(Vec::as_slice));
    let (id, how, score) = twin("Authenticate first").unwrap();
    assert_eq!((id.as_str(), how), ("a-1", How::Embedding));
    assert!(score >= LEAST_COSINE);
    assert_eq!(twin("Never take more than 9 rows"), None, "another number is at stake");
    assert_eq!(twin("Count pages"), None, "it is not near enough");
    assert_eq!(twin("Without a point"), None);
}
