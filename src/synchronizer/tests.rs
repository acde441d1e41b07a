//! Effects of single inputs, compared by equality.
