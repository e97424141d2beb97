//! What the machine says about memory and about its other processes, where it can.

/// Bytes that the allocator has handed out and not got back, where it can say so.
pub fn allocated() -> Option<u64> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: mallinfo2 has no preconditions; it only sums the counters of the arenas.
        let info = unsafe { libc::mallinfo2() };
        Some((info.uordblks + info.hblkhd) as u64)
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    None
}

/// Gives memory that the allocator keeps for later back to the system, where it can.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// How busy the machine was with other things.
pub struct Neighbours {
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    start: Option<(f64, f64, f64)>,
}

impl Neighbours {
    pub fn watch() -> Self {
        Self { start: Self::now() }
    }

    /// The share of all processors' time since `watch` that went to other processes.
    pub fn share(&self) -> Option<f64> {
        let (busy, all, own) = self.start?;
        let (busy_now, all_now, own_now) = Self::now()?;
        let share = ((busy_now - busy) - (own_now - own)) / (all_now - all);
        share.is_finite().then_some(share.max(0.0))
    }

    /// Busy and all seconds of the machine, busy seconds of this process and of its children that have ended.
    #[cfg(target_os = "linux")]
    fn now() -> Option<(f64, f64, f64)> {
        let stat = std::fs::read_to_string("/proc/stat").ok()?;
        let ticks: Vec<f64> =
            stat.lines().next()?.split_whitespace().skip(1).take(8).flat_map(str::parse).collect();
        let own = std::fs::read_to_string("/proc/self/stat").ok()?;
        let own: Vec<f64> =
            own.rsplit_once(')')?.1.split_whitespace().skip(11).take(4).flat_map(str::parse).collect();
        let all: f64 = ticks.iter().sum();
        let idle = ticks.get(3)? + ticks.get(4)?;
        Some((all - idle, all, own.iter().sum()))
    }

    #[cfg(not(target_os = "linux"))]
    fn now() -> Option<(f64, f64, f64)> {
        None
    }
}
