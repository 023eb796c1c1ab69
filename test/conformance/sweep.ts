/**
 * Asks two servers about every attribute of every resource: lists filtered and sorted by it, and updates that set it to everything odd.
 *
 *     node test/conformance/sweep.ts --theirs http://127.0.0.1:9976 --ours http://127.0.0.1:9876
 *       [--what list,put,post,path,several,batch,tree] [--of pool,member] [--count 100] [--seed 1] [--text]
 *
 * Lists, updates, creates and paths are gone through; several attributes at once, batches of members and whole load balancers are drawn. Both servers must be set up alike (see `program.ts`). Ends with 1 when anything differs.
 */
import { parseArgs } from 'node:util';
import { seededRandom } from '../crash/seeded-random.ts';
import type { Answers } from './both.ts';
import { Both, Teller } from './both.ts';
import { drawBatch, drawSeveral, drawTree } from './drawn.ts';
import type { Request } from './exchange.ts';
import { listRequests, pathRequests, postRequests, putRequests, type Swept, swept, sweptWorld } from './swept.ts';

const { values } = parseArgs({
  options: {
    theirs: { type: 'string', default: 'http://127.0.0.1:9976' },
    ours: { type: 'string', default: 'http://127.0.0.1:9876' },
    what: { type: 'string', default: 'list,put,post,path' },
    of: { type: 'string' },
    text: { type: 'boolean' },
    kinds: { type: 'string' },
    count: { type: 'string', default: '100' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});

const both = new Both(values.theirs, values.ours);
const teller = new Teller({ text: values.text === true, kinds: values.kinds?.split(',') ?? null });
let asked = 0;

async function ask(request: Request): Promise<Answers> {
  const answers = await both.ask(request);
  teller.tell(request, answers);
  asked += 1;
  return answers;
}

async function makeWorld(): Promise<void> {
  for (const request of sweptWorld) {
    await ask(request);
    if (!/flavor|availabilityzone|quota/u.test(request.path)) await both.settle('<loadbalancer1>');
  }
}

/** Removes what was made on either side; what only one of the two made, too. */
async function removeMade(target: Swept): Promise<void> {
  if (target.root === 'quota') return;
  const way = target.root === 'loadbalancer' ? '?cascade=true' : '';
  await both.ask({ method: 'DELETE', path: `/v2/lbaas${target.collection}/<made1>${way}` });
  if (target.isBuilt) await both.settle(target.root === 'loadbalancer' ? '<made1>' : '<loadbalancer1>');
}

const isDone = ([one, other]: Answers): boolean => one.status < 300 || other.status < 300;

async function change(target: Swept, request: Request): Promise<void> {
  const answers = await ask(request);
  if (!isDone(answers)) return;
  if (target.isBuilt) await both.settle(request.method === 'POST' && target.root === 'loadbalancer' ? '<made1>' : '<loadbalancer1>');
  if (request.method === 'POST') {
    await ask({ method: 'GET', path: `/v2/lbaas${target.collection}/<made1>` });
    return removeMade(target);
  }
  await ask({ method: 'GET', path: `/v2/lbaas${target.item}` });
}

async function batch(request: Request): Promise<void> {
  const answers = await ask(request);
  if (!isDone(answers)) return;
  await both.settle('<loadbalancer1>');
  await ask({ method: 'GET', path: '/v2/lbaas/pools/<pool2>/members' });
}

async function tree(request: Request): Promise<void> {
  const answers = await ask(request);
  if (!isDone(answers)) return;
  await both.settle('<made1>');
  for (const path of ['', '/status', '/stats']) await ask({ method: 'GET', path: `/v2/lbaas/loadbalancers/<made1>${path}` });
  for (const path of ['listeners', 'pools']) await ask({ method: 'GET', path: `/v2/lbaas/${path}?loadbalancer_id=<made1>` });
  await both.ask({ method: 'DELETE', path: '/v2/lbaas/loadbalancers/<made1>?cascade=true' });
  await both.settle('<made1>');
}

const what = values.what.split(',');
const count = Number(values.count);
const random = seededRandom(Number(values.seed));
const targets = swept.filter(({ root }) => values.of === undefined || values.of.split(',').includes(root));
await makeWorld();
try {
  for (const target of targets) {
    if (what.includes('list')) for (const request of listRequests(target)) await ask(request);
    if (what.includes('path')) for (const request of pathRequests(target)) await ask(request);
    if (what.includes('post')) for (const request of postRequests(target)) await change(target, request);
    if (what.includes('put')) for (const request of putRequests(target)) await change(target, request);
    if (what.includes('several')) for (let index = 0; index < count; index += 1) await change(target, drawSeveral(target, random));
  }
  if (what.includes('batch')) for (let index = 0; index < count; index += 1) await batch(drawBatch(random));
  if (what.includes('tree')) for (let index = 0; index < count; index += 1) await tree(drawTree(random));
} finally {
  await both.ask({ method: 'DELETE', path: '/v2/lbaas/loadbalancers/<loadbalancer1>?cascade=true' });
  await both.settle('<loadbalancer1>');
  for (const name of ['flavors/<flavor1>', 'flavorprofiles/<flavorprofile1>', 'flavorprofiles/<flavorprofile2>'])
    await both.ask({ method: 'DELETE', path: `/v2/lbaas/${name}` });
  for (const name of ['availabilityzones/zoneNONCE', 'availabilityzoneprofiles/<zoneprofile1>', 'quotas/sweepNONCE000000000000000000000'])
    await both.ask({ method: 'DELETE', path: `/v2/lbaas/${name}` });
  both.close();
}
process.stdout.write(`seed ${values.seed}, ${asked} requests; differences: ${JSON.stringify(teller.counts)}\n`);
process.exitCode = teller.hasFound ? 1 : 0;
