//! Stand-ins for the three target APIs over real HTTP, with fault switches.
