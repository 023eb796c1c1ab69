/**
 * Asks two servers about every attribute of every resource: lists filtered and sorted by it, and updates that set it to everything odd.
 *
 *     node test/conformance/sweep.ts --theirs http://127.0.0.1:9976 --ours http://127.0.0.1:9876
 *       [--what list,put,post,path] [--of pool,member] [--text]
 *
 * `explore.ts` draws; this goes through all. Both servers must be set up alike (see `program.ts`). Ends with 1 when anything differs.
 */
import { parseArgs } from 'node:util';
import type { Answers } from './both.ts';
import { Both, Teller } from './both.ts';
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

const what = values.what.split(',');
const targets = swept.filter(({ root }) => values.of === undefined || values.of.split(',').includes(root));
await makeWorld();
try {
  for (const target of targets) {
    if (what.includes('list')) for (const request of listRequests(target)) await ask(request);
    if (what.includes('path')) for (const request of pathRequests(target)) await ask(request);
    if (what.includes('post')) for (const request of postRequests(target)) await change(target, request);
    if (what.includes('put')) for (const request of putRequests(target)) await change(target, request);
  }
} finally {
  await both.ask({ method: 'DELETE', path: '/v2/lbaas/loadbalancers/<loadbalancer1>?cascade=true' });
  await both.settle('<loadbalancer1>');
  for (const name of ['flavors/<flavor1>', 'flavorprofiles/<flavorprofile1>', 'flavorprofiles/<flavorprofile2>'])
    await both.ask({ method: 'DELETE', path: `/v2/lbaas/${name}` });
  for (const name of ['availabilityzones/zoneNONCE', 'availabilityzoneprofiles/<zoneprofile1>', 'quotas/sweepNONCE000000000000000000000'])
    await both.ask({ method: 'DELETE', path: `/v2/lbaas/${name}` });
  both.close();
}
process.stdout.write(`${asked} requests; differences: ${JSON.stringify(teller.counts)}\n`);
process.exitCode = teller.hasFound ? 1 : 0;
