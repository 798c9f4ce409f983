//! SRT: real encoders and hostile callers against the listener, damaged streams against the demultiplexer.

mod demux;
mod encoders;
mod flv;
mod hostile;
mod noise;
mod process;
mod rig;
