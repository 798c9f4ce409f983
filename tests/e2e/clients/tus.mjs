// node tus.mjs BASE KEY VIDEO FILE --log FILE [--chunk BYTES] [--die-after BYTES] [--resume URL]
// Uploads with tus-js-client. The log has a line for the upload's address, each offset sent from and each acknowledged.
import { appendFileSync, createReadStream, statSync } from 'node:fs';
import { parseArgs } from 'node:util';

import * as tus from 'tus-js-client';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    log: { type: 'string' },
    chunk: { type: 'string', default: String(1 << 20) },
    'die-after': { type: 'string' },
    resume: { type: 'string' },
  },
});
const [base, key, video, file] = positionals;
if (!file || !values.log) {
  console.error('usage: node tus.mjs BASE KEY VIDEO FILE --log FILE [--chunk BYTES] [--die-after BYTES] [--resume URL]');
  process.exit(2);
}
const dieAfter = values['die-after'] === undefined ? Infinity : Number(values['die-after']);

const upload = new tus.Upload(createReadStream(file), {
  endpoint: `${base}/api/v1/uploads`,
  uploadUrl: values.resume ?? null,
  uploadSize: statSync(file).size,
  chunkSize: Number(values.chunk),
  retryDelays: null,
  storeFingerprintForResuming: false,
  headers: { Authorization: `Bearer ${key}` },
  metadata: { filename: '空气 “clean” air 🌬.mp4', video },
  onBeforeRequest(request) {
    if (request.getMethod() === 'PATCH') log('send', { offset: Number(request.getHeader('Upload-Offset')) });
  },
  onUploadUrlAvailable() {
    log('url', { url: upload.url });
  },
  onProgress(sent) {
    if (sent >= dieAfter) process.kill(process.pid, 'SIGKILL');
  },
  onChunkComplete(_, acknowledged) {
    log('ack', { offset: acknowledged });
  },
  onSuccess() {
    log('done', {});
  },
  onError(error) {
    console.error(error.message);
    process.exitCode = 1;
  },
});
upload.start();

function log(event, details) {
  appendFileSync(values.log, `${JSON.stringify({ event, ...details })}\n`);
}
