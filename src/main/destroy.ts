/** `npm run destroy`: removes every amphora, namespace, bridge, rule, cgroup and file of a state, also with a damaged database. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { destroyState } from '../cloud/local/compute/destroy.ts';
import { stateDir } from '../config/load.ts';
import { claimState, processNames, stateIdOf, StartRefused } from './state.ts';

/** What lies in a state folder: a folder with none of these is not one, and is left alone. */
const marks = ['state-id', 'octavia.db', 'octavia.conf', 'drawn.conf', 'instances'];

const tell = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(): Promise<void> {
  const dir = stateDir();
  if (!existsSync(dir)) return tell(`Nothing to remove: there is no state folder ${dir}.`);
  const isState = readdirSync(dir).some((name) => marks.includes(name));
  if (!isState) throw new StartRefused(`${dir} is no state folder of Octavia: nothing was removed.`);
  const id = stateIdOf(dir);
  // None of the controllers may run: they would make again what is removed.
  const states = processNames.map((name) => claimState(dir, name));
  try {
    const removed = await destroyState(dir, id ?? states[0]?.id ?? '');
    tell(`Ended ${removed.processes} processes; removed ${removed.namespaces} namespaces and ${removed.interfaces} interfaces.`);
    for (const name of readdirSync(dir)) rmSync(join(dir, name), { recursive: true, force: true });
    rmSync(dir, { recursive: true, force: true });
    tell(`Removed ${dir}.`);
  } finally {
    for (const state of states) state.release();
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof StartRefused ? error.message : `Not everything could be removed: ${String(error)}`}\n`);
  process.exit(1);
}
