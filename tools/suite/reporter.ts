/** Reporter of node:test that writes one JSON object for each finished test; loaded by `--test-reporter`. */
import { inspect } from 'node:util';
import type { TestEvent } from 'node:test/reporters';

/** One finished test. */
export type TestResult = {
  /** Its name with those of the tests and suites around it. */
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** Why it was skipped, or what was thrown; empty for a parent that fails only because a test in it does. */
  readonly reason: string;
};

/** Turns the events of one test process into lines. */
// oxlint-disable-next-line import/no-default-export -- node:test takes the default export of a reporter's module.
export default async function* reporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const path: string[] = [];
  for await (const event of source) {
    if (event.type === 'test:start') path[event.data.nesting] = event.data.name;
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    if (event.data.details.type === 'suite' && (event.type === 'test:pass' || isOnlySubtests(event.data.details.error))) continue;
    const name = [...path.slice(0, event.data.nesting), event.data.name].join(' › ');
    yield `${JSON.stringify({ name, ...outcome(event) })}\n`;
  }
}

type Finished = Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>;

function outcome(event: Finished): Omit<TestResult, 'name'> {
  const { skip, todo } = event.data;
  if (skip !== undefined && skip !== false)
    return { outcome: 'skipped', reason: typeof skip === 'string' && skip !== '' ? skip : 'no reason given' };
  if (todo !== undefined && todo !== false) return { outcome: 'skipped', reason: `todo: ${String(todo)}` };
  if (event.type === 'test:pass') return { outcome: 'passed', reason: '' };
  const { error } = event.data.details;
  return { outcome: 'failed', reason: isOnlySubtests(error) ? '' : failureText(error) };
}

function isOnlySubtests(error: unknown): boolean {
  return (error as { failureType?: string } | undefined)?.failureType === 'subtestsFailed';
}

function failureText(error: Error): string {
  const text = inspect(error.cause instanceof Error ? error.cause : (error.cause ?? error), { depth: 4, colors: false });
  return text
    .split('\n')
    .filter((line) => !/^\s+at .*\(?node:/u.test(line))
    .slice(0, 60)
    .join('\n');
}
