//! Tests of lemon:session.
