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
import { type Answers, Both, Teller } from './both.ts';
import type { Answer, Request } from './exchange.ts';

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

const both = new Both(values.theirs, values.ours);
const random = seededRandom(Number(values.seed));
const teller = new Teller({ text: values.text === true, kinds: values.kinds?.split(',') ?? null });
const askBoth = (request: Request): Promise<Answers> => both.ask(request);

async function makeWorld(): Promise<void> {
  for (const request of worldRequests) {
    await askBoth(request);
    await both.settle('<loadbalancer1>');
  }
}

async function removeWorld(): Promise<void> {
  await askBoth({ method: 'DELETE', path: '/v2/lbaas/loadbalancers/<loadbalancer1>?cascade=true' });
  await both.settle('<loadbalancer1>');
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

/** What was made on both sides goes again; what differs in its effect makes the world anew. */
async function tidyUp(request: Request, target: Target, [one, other]: Answers): Promise<void> {
  const isMade = (answer: Answer): boolean => answer.status >= 200 && answer.status < 300;
  if (request.method === 'GET' || request.method === 'HEAD' || (!isMade(one) && !isMade(other))) return;
  const name = target.root === 'loadbalancer' && request.method === 'POST' ? '<made1>' : '<loadbalancer1>';
  await both.settle(name);
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
  await both.settle(name);
}

await makeWorld();
try {
  for (let index = 0; index < Number(values.count); index += 1) {
    const target = pick(random, targets);
    const request = nextRequest(target, random);
    const answers = await askBoth(request);
    teller.tell(request, answers);
    await tidyUp(request, target, answers);
  }
} finally {
  await removeWorld();
  both.close();
}
process.stdout.write(`seed ${values.seed}, ${values.count} requests; differences: ${JSON.stringify(teller.counts)}\n`);
process.exitCode = teller.hasFound ? 1 : 0;
