//! Decisions taken from the bytes of an input. After its end all of them are 0.

#![forbid(unsafe_code)]

/// What is left of an input.
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    pub fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// From 0 up to, but without, `limit`, which is at most 65,536.
    pub fn below(&mut self, limit: usize) -> usize {
        let wide = if limit > 256 { self.short().into() } else { self.byte().into() };
        let wide: usize = wide;
        wide % limit.max(1)
    }

    pub fn pick<'b, T>(&mut self, from: &'b [T]) -> &'b T {
        &from[self.below(from.len())]
    }

    /// Up to so many bytes, as they are.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A number that is often one of those that break things.
    pub fn number(&mut self) -> u64 {
        match self.byte() % 12 {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => 0xFFFF,
            4 => 0xFFFF_FFFF,
            5 => 1 << (self.byte() % 64),
            6 => (1 << (self.byte() % 64)) - 1,
            7 => self.short().into(),
            8 => u64::from(self.short()) << 16,
            9 => u64::from(self.short()) << 32,
            10 => u64::from(self.short()) << 48,
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }
}
