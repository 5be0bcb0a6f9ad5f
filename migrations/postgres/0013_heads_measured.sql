-- What a head's verdict was won against, and which trajectories a training reads.
-- The other engine's folder holds the same columns under the same names.

-- `rules`, or the hash of the head that scored; NULL where that is not known
ALTER TABLE heads ADD COLUMN measured TEXT;

-- JSON: the id and the length of each trajectory as they were when the run found them; NULL before that, and when it is over
ALTER TABLE distillations ADD COLUMN cases TEXT;
