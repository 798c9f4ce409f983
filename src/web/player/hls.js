// What hls.js is told whatever it plays.
import { Hls } from 'hls-video-element';

/**
 * hls.js lets sound that came before its pictures wait for them; where the viewer seeks away in between it waits for
 * ever, and nothing plays (hls.js issue 7808). Sound that doesn't wait does no harm: without pictures it isn't played.
 */
class Buffer extends Hls.DefaultConfig.bufferController {
  blockAudio() {}
}

export const common = { bufferController: Buffer, capLevelToPlayerSize: true, abrEwmaDefaultEstimate: 1_500_000 };
