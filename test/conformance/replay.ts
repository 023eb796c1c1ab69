/** Asks a server what was asked of the reference, in the same order, and compares the answers. */
import { compareAnswers, type Difference } from './compare.ts';
import { type Answer, isExchange, type Request, type Step, type Suite } from './exchange.ts';
import { bindNames, Names, normalForm, readBody, type Received, type Send, sentOf } from './normal-form.ts';

/** What came of one case. */
export type Outcome = { readonly suite: string; readonly case: string; readonly differences: readonly Difference[]; readonly ours: Answer };

/** How long a load balancer may be PENDING. */
const SETTLE_MS = 30_000;

/** Where to replay to. */
export type Target = { readonly base_url: string; readonly send: Send };

/** Replays a suite; an outcome for each of its cases. Throws when a load balancer stays PENDING. */
export async function replay(suite: Suite, target: Target): Promise<Outcome[]> {
  const names = new Names();
  const outcomes: Outcome[] = [];
  let last: string | null = null;
  for (const step of suite.steps) {
    if ('settle' in step) {
      last = step.settle;
      await settle(names.fill(last), target.send, suite.name);
      continue;
    }
    const received = await ask(step, target.send, names);
    if (!isExchange(step)) continue;
    const ours = normalForm(step, received, names, target.base_url);
    // What they refused and we do makes work that the recording did not wait for.
    if (last !== null && step.method !== 'GET' && step.answer.status >= 300 && ours.status < 300)
      await settle(names.fill(last), target.send, suite.name);
    outcomes.push({ suite: suite.name, case: step.case, differences: compareAnswers(step.answer, ours, step.ordered), ours });
  }
  return outcomes;
}

/** The same suite with this server's answers in the place of the recorded ones. */
export function recordedAnew(suite: Suite, outcomes: readonly Outcome[]): Suite {
  const answers = new Map(outcomes.map((each) => [each.case, each.ours]));
  const renew = (step: Step): Step => (isExchange(step) ? { ...step, answer: answers.get(step.case) ?? step.answer } : step);
  return { name: suite.name, steps: suite.steps.map(renew) };
}

async function ask(step: Request, send: Send, names: Names): Promise<Received> {
  const received = await send(sentOf(step, names));
  bindNames(step, readBody(received.body), names);
  return received;
}

/** Waits until a load balancer is no longer PENDING, or is gone. Throws when that does not happen. */
export async function settle(id: string, send: Send, suite: string): Promise<void> {
  const deadline = Date.now() + SETTLE_MS;
  for (let wait_ms = 1; ; wait_ms = Math.min(50, wait_ms * 2)) {
    const request = { method: 'GET', path: `/v2/lbaas/loadbalancers/${id}`, headers: { accept: 'application/json' }, data: null };
    const { status, body } = await send(request);
    if (status === 404) return;
    const shown = readBody(body) as { loadbalancer?: { provisioning_status?: string } } | null;
    const now = shown?.loadbalancer?.provisioning_status ?? 'PENDING';
    if (!now.startsWith('PENDING') && now !== 'DELETED') return;
    if (Date.now() > deadline) throw new Error(`${suite}: load balancer ${id} is still ${now} after ${SETTLE_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, wait_ms));
  }
}
