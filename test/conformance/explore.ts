/**
 * Asks two servers the same random things, so that what stands in no script is compared, too:
 *
 *     node test/conformance/explore.ts --theirs http://127.0.0.1:9976 --ours http://127.0.0.1:9876 [--count 1000] [--seed 1] [--what create,update,list,odd]
 *
 * Both must be set up alike (see `program.ts`). Each difference is shown once for each kind of request and place. Ends with 1 when there
 * are any, and always tidies up.
 */
import { parseArgs } from 'node:util';
import { seededRandom } from '../crash/seeded-random.ts';
import { pick, type Random } from '../fuzz/odd-values.ts';
import { createRequest, listRequest, oddRequest, type Target, targets, updateRequest, worldRequests } from '../fuzz/requests.ts';
import { compareAnswers, type Difference } from './compare.ts';
import type { Answer, Request } from './exchange.ts';
import { bindNames, Names, normalForm, readBody, sentOf } from './normal-form.ts';
import { settle } from './replay.ts';
import { createSender, type Sender } from './send.ts';

const { values } = parseArgs({
  options: {
    theirs: { type: 'string', default: 'http://127.0.0.1:9976' },
    ours: { type: 'string', default: 'http://127.0.0.1:9876' },
    count: { type: 'string', default: '1000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    text: { type: 'boolean' },
    kinds: { type: 'string' },
    what: { type: 'string', default: 'create,update,update,list,list,odd' },
  },
});

/** One of the two servers, with its own ids. */
class Side {
  readonly names = new Names();
  readonly #base_url: string;
  readonly #sender: Sender;

  constructor(base_url: string) {
    this.#base_url = base_url.replace(/\/+$/u, '');
    this.#sender = createSender(this.#base_url);
  }

  async ask(request: Request): Promise<Answer> {
    const received = await this.#sender.send(sentOf(request, this.names));
    bindNames(request, readBody(received.body), this.names);
    return normalForm(request, received, this.names, this.#base_url);
  }

  settle(name: string): Promise<void> {
    return settle(this.names.fill(name), this.#sender.send, 'explore');
  }

  close(): void {
    this.#sender.close();
  }
}

const theirs = new Side(values.theirs);
const ours = new Side(values.ours);
const both = [theirs, ours] as const;
const random = seededRandom(Number(values.seed));
const shown = new Set<string>();
const counts = new Map<string, number>();

async function askBoth(request: Request): Promise<readonly [Answer, Answer]> {
  return Promise.all([theirs.ask(request), ours.ask(request)]);
}

async function makeWorld(): Promise<void> {
  for (const request of worldRequests) {
    await askBoth(request);
    await Promise.all(both.map((side) => side.settle('<loadbalancer1>')));
  }
}

async function removeWorld(): Promise<void> {
  await askBoth({ method: 'DELETE', path: '/v2/lbaas/loadbalancers/<loadbalancer1>?cascade=true' });
  await Promise.all(both.map((side) => side.settle('<loadbalancer1>')));
}

/** Only what the reference survives: numbers as addresses break its lists, networks of other text its no-op driver. */
const isBearable = (request: Request): boolean =>
  !/"vip_address": ?[^"n]|"address": ?[^"n]|"vip_(?:network|port|subnet)_id": ?"(?!\w{8}-)|"additional_vips"|"(?:vip_)?address": ?""/u.test(
    request.data ?? '',
  );

const draws: Readonly<Record<string, (source: Random, target: Target) => Request>> = {
  create: createRequest,
  update: updateRequest,
  list: listRequest,
};
const what = values.what.split(',');

function nextRequest(target: Target, source: Random): Request {
  const request = draws[pick(source, what)]?.(source, target) ?? oddRequest(source);
  return isBearable(request) ? request : nextRequest(target, source);
}

function tell(request: Request, differences: readonly Difference[]): void {
  const [first] = differences.filter((each) => values.text || each.kind !== 'text');
  if (first === undefined) return;
  counts.set(first.kind, (counts.get(first.kind) ?? 0) + 1);
  if (first.kind === 'better' || (values.kinds !== undefined && !values.kinds.split(',').includes(first.kind))) return;
  const place = `${request.method} ${request.path.replace(/\?.*/u, '')} ${first.kind} ${first.path} ${String(first.theirs).slice(0, 60)}`;
  if (shown.has(place)) return;
  shown.add(place);
  const line = (value: unknown): string => String(typeof value === 'string' ? value : JSON.stringify(value)).slice(0, 300);
  process.stdout.write(
    `${request.method} ${request.path}\n  ${(request.data ?? '').slice(0, 400)}\n  ${first.kind} ${first.path}\n    theirs ${line(first.theirs)}\n    ours   ${line(first.ours)}\n`,
  );
}

/** What was made on both sides goes again; what differs in its effect makes the world anew. */
async function tidyUp(request: Request, target: Target, [one, other]: readonly [Answer, Answer]): Promise<void> {
  const isMade = (answer: Answer): boolean => answer.status >= 200 && answer.status < 300;
  if (request.method === 'GET' || request.method === 'HEAD' || (!isMade(one) && !isMade(other))) return;
  const name = target.root === 'loadbalancer' && request.method === 'POST' ? '<made1>' : '<loadbalancer1>';
  await Promise.all(both.map((side) => side.settle(name)));
  if (request.method !== 'POST') {
    // Where one did what the other refused, or cannot go on, later answers would differ for that alone.
    const worlds = await askBoth({ method: 'GET', path: '/v2/lbaas/loadbalancers/<loadbalancer1>?fields=provisioning_status' });
    const isWell = worlds.every(({ body }) => JSON.stringify(body).includes('"ACTIVE"'));
    if (isWell && isMade(one) === isMade(other)) return;
    await removeWorld();
    return makeWorld();
  }
  await askBoth({
    method: 'DELETE',
    path: `/v2/lbaas${target.collection}/<made1>${target.root === 'loadbalancer' ? '?cascade=true' : ''}`,
  });
  await Promise.all(both.map((side) => side.settle(name)));
}

await makeWorld();
try {
  for (let index = 0; index < Number(values.count); index += 1) {
    const target = pick(random, targets);
    const request = nextRequest(target, random);
    const answers = await askBoth(request);
    tell(request, compareAnswers(...answers));
    await tidyUp(request, target, answers);
  }
} finally {
  await removeWorld();
  for (const side of both) side.close();
}
process.stdout.write(`seed ${values.seed}, ${values.count} requests; differences: ${JSON.stringify(Object.fromEntries(counts))}\n`);
process.exitCode = shown.size > 0 ? 1 : 0;
