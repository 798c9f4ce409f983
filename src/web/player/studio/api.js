// The JSON API, asked with a key; what goes wrong comes as a sentence that says what to do.

const base = '/api/v1';

/** Why the API did not answer as hoped; a status of 0 where it did not answer at all. */
export class Refused extends Error {
  constructor(status, { code = '', detail = '' } = {}) {
    super(detail || `status ${status}`);
    Object.assign(this, { status, code, detail });
  }

  /** In the page's language, as far as there are words for it; `lang` says where the API's own had to do. */
  words({ errors, refusals }) {
    const own = new Map(refusals).get(this.code);
    if (own) return { text: own };
    if (this.code === 'account_missing') return { text: errors.account };
    if (this.status === 0 || this.status >= 500 || this.status === 429) return { text: errors.unreachable };
    if (this.status === 401) return { text: errors.key };
    if (this.status === 403) return { text: errors.role };
    if (this.status === 404) return { text: errors.missing };
    if (this.status === 412) return { text: errors.changed };
    return { text: this.detail, lang: 'en' };
  }
}

export class Api {
  #key;

  /** What to add to this computer's clock to get the server's, in milliseconds. */
  ahead = 0;

  constructor(key) {
    this.#key = key;
  }

  /**
   * The JSON of an answer; null where it has none. A file is sent as it is. What was `seen` is changed in the version that
   * was seen, or not at all.
   */
  async ask(method, path, body, seen) {
    const headers = { authorization: `Bearer ${this.#key}` };
    if (seen) headers['if-match'] = `"${seen.version}"`;
    const file = body instanceof Blob;
    if (body) headers['content-type'] = file ? body.type : 'application/json';
    const sent = file ? body : body && JSON.stringify(body);
    const answer = await this.#fetch(path, { method, headers, body: sent }, file ? 120_000 : 15_000);
    if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
    this.ahead = Date.parse(answer.headers.get('date')) - Date.now() || 0;
    return answer.status === 204 ? null : answer.json();
  }

  /** Every item of a list, in pages. */
  async all(path) {
    const items = [];
    let next = '';
    do {
      const page = await this.ask('GET', `${path}?limit=100${next && `&cursor=${encodeURIComponent(next)}`}`);
      items.push(...page.items);
      next = page.next;
    } while (next);
    return items;
  }

  async #fetch(path, options, patience) {
    const signal = AbortSignal.timeout(patience);
    try {
      return await fetch(base + path, { ...options, cache: 'no-store', credentials: 'omit', signal });
    } catch {
      throw new Refused(0);
    }
  }
}
