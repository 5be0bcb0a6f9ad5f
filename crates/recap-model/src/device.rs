//! Where models compute.

use candle_core::Device;

use crate::ModelError;

/// Returns the device of this build: the first NVIDIA device with the feature `cuda`, the first Apple device with
/// `metal`, else the processor.
///
/// # Errors
///
/// [`ModelError::Compute`] if the device that the build is for cannot be used; there is no silent fallback.
pub fn device() -> Result<Device, ModelError> {
    if cfg!(feature = "cuda") {
        return Ok(Device::new_cuda(0)?);
    }
    if cfg!(feature = "metal") {
        return Ok(Device::new_metal(0)?);
    }
    Ok(Device::Cpu)
}
