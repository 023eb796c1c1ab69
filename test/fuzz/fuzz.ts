/**
 * Sends random requests and looks at each answer: never a crash (500, 502, 504), never anything of the inside of the program, and a
 * request that was refused has changed nothing.
 */
import { Names, bindNames, normalForm, readBody, type Received, type Send, sentOf } from '../conformance/normal-form.ts';
import type { Request } from '../conformance/exchange.ts';
import { seededRandom } from '../crash/seeded-random.ts';
import { mutatedRequest, recordedRequests } from './mutate.ts';
import { pick, type Random } from './odd-values.ts';
import { createRequest, listRequest, oddRequest, targets, updateRequest, worldRequests } from './requests.ts';

/** What is fuzzed, and how. */
export type FuzzTarget = {
  readonly send: Send;
  /** Lets the worker finish what it has to do. */
  readonly settle: () => Promise<void>;
  /** The hash of everything that is stored. */
  readonly hash: () => Promise<string>;
  /** Removes everything that is stored, so that thousands of creations do not pile up. */
  readonly clear: () => Promise<void>;
};

/** What is wrong with an answer. */
export type Finding = { readonly what: string; readonly request: Request; readonly answer: string };

/** What came of it. */
export type FuzzReport = {
  readonly requests: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** How many refused changes were looked for traces of. */
  readonly hashed: number;
  readonly findings: readonly Finding[];
};

/** Text that only the inside of the program has: stack traces, files, statements, libraries. */
const leaks = [
  /\bat [\w.<>]+ \(/u,
  /node_modules|node:internal|file:\/\/\//u,
  /\/(?:src|work|home|tmp|var|usr)\/[\w./-]+\.(?:ts|js|db|sock)/u,
  /\b(?:sqlite|kysely|postgres)/iu,
  /\b(?:select|insert into|update \w+ set|delete from)\b[^"]*\b(?:from|values|where)\b/iu,
  /TypeError|RangeError|ReferenceError|SyntaxError/u,
];

/** So many accepted changes until everything is removed and made anew. */
const WORLD_CHANGES = 100;

/** Sends `count` requests of this seed. */
export async function fuzz(target: FuzzTarget, count: number, seed: number): Promise<FuzzReport> {
  const random = seededRandom(seed);
  const recorded = recordedRequests().filter(isHarmless);
  const names = new Names();
  const statuses: Record<string, number> = {};
  const findings: Finding[] = [];
  let hashed = 0;
  let accepted = 0;
  await makeWorld(target, names);
  let before = await target.hash();
  for (let index = 0; index < count; index += 1) {
    const request = nextRequest(random, recorded);
    const received = await target.send(sentOf(request, names));
    bindNames(request, readBody(received.body), names);
    statuses[received.status] = (statuses[received.status] ?? 0) + 1;
    findings.push(...faultsOf(request, received, names));
    if (!mayChange(request)) continue;
    if (received.status >= 300) {
      const after = await target.hash();
      hashed += 1;
      if (after !== before) findings.push({ what: 'a refused request left a trace', request, answer: String(received.status) });
      before = after;
      continue;
    }
    await target.settle();
    accepted += 1;
    if (accepted % WORLD_CHANGES === 0) {
      await target.clear();
      await makeWorld(target, names);
    }
    before = await target.hash();
  }
  return { requests: count, statuses, hashed, findings };
}

const mayChange = ({ method }: Request): boolean => method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS';

function nextRequest(random: Random, recorded: readonly Request[]): Request {
  const target = pick(random, targets);
  const draw = pick(random, [
    () => mutatedRequest(random, recorded),
    () => mutatedRequest(random, recorded),
    () => createRequest(random, target),
    () => updateRequest(random, target),
    () => listRequest(random, target),
    () => oddRequest(random),
  ]);
  return draw();
}

/** Recorded deletions of the world's own load balancer would leave the others nothing to ask for. */
const isHarmless = (request: Request): boolean => request.method !== 'DELETE';

async function makeWorld({ send, settle }: FuzzTarget, names: Names): Promise<void> {
  for (const request of worldRequests) {
    bindNames(request, readBody((await send(sentOf(request, names))).body), names);
    await settle();
  }
}

function faultsOf(request: Request, received: Received, names: Names): Finding[] {
  const text = received.body.toString();
  const told = { request, answer: `${received.status} ${text.slice(0, 600)}` };
  const found: Finding[] = [];
  if ([0, 500, 502, 504].includes(received.status)) found.push({ what: `status ${received.status}`, ...told });
  if (received.status === 503) found.push({ what: 'status 503 although everything runs', ...told });
  const own = own_text(request, names);
  const leak = received.status < 300 ? undefined : leaks.find((each) => each.test(text) && !each.test(own));
  if (leak !== undefined) found.push({ what: `tells ${String(leak)}`, ...told });
  if (text.includes('not json') || normalForm(request, received, names, 'http://none').headers['content-type'] === 'text/html')
    found.push({ what: 'not JSON', ...told });
  return found;
}

/** What the request itself says may be repeated. */
const own_text = (request: Request, names: Names): string => {
  const sent = sentOf(request, names);
  const body = sent.data?.toString() ?? '';
  const unescaped = (() => {
    try {
      return JSON.stringify(JSON.parse(body));
    } catch {
      return body;
    }
  })();
  return `${sent.path}\n${decodeURIComponentSafe(sent.path)}\n${body}\n${unescaped}\n${Object.values(sent.headers).join('\n')}`;
};

function decodeURIComponentSafe(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
