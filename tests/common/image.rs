//! Images taken apart: where a byte stands, how checksums are made good again, how an image is stored.

#![forbid(unsafe_code)]
