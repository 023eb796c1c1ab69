/**
 * Features that need the whole program, as rows of the matrix: in at the API, out at a VIP of each kind of address. All of a file share one
 * program, which runs the HAProxy of this system.
 */
import { after, before, describe, test, type TestContext } from 'node:test';
import { testHaproxies } from '../../../tools/suite/haproxies.ts';
import { namespacesUnavailable } from '../namespaces.ts';
import { openStage, type Stage } from '../stage.ts';

/** A row: a feature, and how it is seen. */
export type ProgramFeature = {
  readonly row: string;
  readonly what: string;
  /** Why it cannot be seen here. */
  readonly skip?: string | false;
  /** `t` ends with the row, `file` with all. */
  check(world: { readonly stage: Stage; readonly family: 4 | 6; readonly t: Ending; readonly file: Ending }): Promise<void>;
};

/** What is told when a test or a file ends. */
export type Ending = Pick<TestContext, 'after'>;

/** What the columns are about: HAProxy with its version, or nft. */
export type ProgramColumn = 'HAProxy' | 'nft';

/** Registers the tests of a file. `env`: options by `OS_<GROUP>__<OPTION>`. */
export function testProgramFeatures(
  columns: Readonly<Partial<Record<ProgramColumn, readonly ProgramFeature[]>>>,
  env: Readonly<Record<string, string>> = {},
): void {
  const unavailable = namespacesUnavailable();
  const endings: (() => unknown)[] = [];
  const file = { after: (work: () => unknown) => void endings.push(work) } as Ending;
  let stage: Stage | undefined;
  before(async () => {
    if (!unavailable) stage = await openStage(file, { env });
  });
  after(async () => {
    for (const work of endings.toReversed()) await work();
  });
  const register = (column: string, features: readonly ProgramFeature[], skipAll: string | false): void => {
    describe(column, () => {
      for (const { row, what, skip = false, check } of features)
        for (const family of [4, 6] as const)
          test(`${row} · ${what} · IPv${family}`, { skip: unavailable || skipAll || skip }, async (t) => {
            if (stage === undefined) throw new Error('the program did not start');
            if (family === 6 && stage.subnet6 === undefined) return t.skip('the kernel has no IPv6');
            await check({ stage, family, t, file });
          });
    });
  };
  const [ofSystem, ...others] = testHaproxies();
  register(ofSystem?.name ?? 'HAProxy', columns.HAProxy ?? [], ofSystem?.skip ?? false);
  for (const { name } of others) register(name, columns.HAProxy ?? [], 'the whole program runs the HAProxy of this system');
  if (columns.nft !== undefined) register('nft', columns.nft, false);
}
