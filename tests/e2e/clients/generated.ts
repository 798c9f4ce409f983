// Uploads a clip in parts, publishes it and reads it back, through openapi-fetch over the types that openapi-typescript
// made of the document.
import { readFile } from "node:fs/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./document.js";

type Problem = components["schemas"]["Problem"];
type Video = components["schemas"]["Video"];

const [base, key, path] = process.argv.slice(2) as [string, string, string];
const client = createClient<paths>({ baseUrl: base, headers: { Authorization: `Bearer ${key}` } });

function succeed<T>(answer: { data?: T; error?: Problem; response: Response }): T {
  if (answer.data === undefined) throw new Error(`${answer.response.status} ${JSON.stringify(answer.error)}`);
  return answer.data;
}

const refused = await client.POST("/api/v1/videos", {
  body: { account: "!", topic: "?", title: "", language: "en" },
});
const pointers = (refused.error?.errors ?? []).map((fault) => fault.pointer).sort();
if (pointers.join() !== "/account,/title,/topic") throw new Error(JSON.stringify(refused.error));

const draft = succeed(
  await client.POST("/api/v1/videos", {
    body: {
      account: "lanting-ecology",
      topic: "environment/air",
      title: { en: "By TypeScript", "zh-Hans": "用 TypeScript" },
      language: "en",
    },
  }),
);
const id = draft.id;
const upload = draft.upload?.parts.split("/").at(-2);
if (upload === undefined) throw new Error("no address for parts");

const clip = await readFile(path);
const wanted = succeed(
  await client.POST("/api/v1/uploads/{id}/parts", {
    params: { path: { id: upload } },
    body: { size_bytes: clip.length, numbers: [1] },
  }),
);
for (const part of wanted.parts) {
  const begin = (part.number - 1) * wanted.part_size;
  const sent = await fetch(part.url, { method: "PUT", body: clip.subarray(begin, begin + wanted.part_size) });
  if (!sent.ok) throw new Error(`part ${part.number}: ${sent.status}`);
}
succeed(await client.POST("/api/v1/uploads/{id}/finish", { params: { path: { id: upload } }, body: {} }));

async function look(as: typeof client): Promise<Video> {
  return succeed(await as.GET("/api/v1/videos/{id}", { params: { path: { id } } }));
}

const deadline = Date.now() + 300_000;
for (let video = await look(client); video.media?.state !== "ready"; video = await look(client)) {
  if (video.media?.state === "failed" || Date.now() > deadline) throw new Error(JSON.stringify(video));
  await new Promise((resolve) => setTimeout(resolve, 300));
}
const published = succeed(await client.POST("/api/v1/videos/{id}/publish", { params: { path: { id } } }));
if (published.state !== "published") throw new Error(published.state);

const seen = await look(createClient<paths>({ baseUrl: base }));
if (seen.title["zh-Hans"] !== "用 TypeScript") throw new Error(JSON.stringify(seen.title));
const list = succeed(await client.GET("/api/v1/videos", { params: { query: { state: "published", limit: 5 } } }));
if (!list.items.some((video) => video.id === id)) throw new Error("it is in no list");
