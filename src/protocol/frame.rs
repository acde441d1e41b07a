//! Frames, transport payloads and fragmentation.
