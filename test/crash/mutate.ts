/**
 * `npm run mutate -- [HISTORIES] [FILE:LINE]`: is the crash suite worth anything? Breaks plan, finish and lease in every
 * mechanical way, one at a time, in a copy of the tree, and counts how many of the broken versions are caught: by the
 * cases of the plan, by the builds on a fake clock, or by random histories.
 */
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Mutant, mutantsOf } from './mutants.ts';
import { survivorsArgued } from './survivors.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const files = [
  'src/providers/amphora/plan.ts',
  'src/providers/amphora/plan-amphora.ts',
  'src/db/lifecycle.ts',
  'src/db/reconciliations.ts',
  'src/worker/reconcile.ts',
];
const histories = Number(process.argv[2] ?? 120);
const only = process.argv[3];

const mutants = (await Promise.all(files.map(async (file) => mutantsOf(file, await readFile(join(root, file), 'utf8'))))).flat();
const chosen = mutants.filter((mutant) => only === undefined || `${mutant.file}:${mutant.line}`.includes(only));
console.log(`${chosen.length} mutants, at most ${histories} histories each`);
const survivors: Mutant[] = [];
const queue = [...chosen];
await Promise.all(Array.from({ length: availableParallelism() }, () => lane()));
report();

/** Tries mutants one after the other in a copy of its own. */
async function lane(): Promise<void> {
  const copy = await mkdtemp(join(tmpdir(), 'octavia-mutants-'));
  try {
    for (const folder of ['src', 'test']) await cp(join(root, folder), join(copy, folder), { recursive: true });
    await cp(join(root, 'package.json'), join(copy, 'package.json'));
    await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
    for (let mutant = queue.shift(); mutant; mutant = queue.shift()) await tryMutant(copy, mutant);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function tryMutant(copy: string, mutant: Mutant): Promise<void> {
  const path = join(copy, mutant.file);
  await writeFile(path, mutant.text);
  const isCaught = await runs(copy);
  await cp(join(root, mutant.file), path);
  if (isCaught) return void process.stderr.write('.');
  survivors.push(mutant);
  process.stderr.write('S');
}

/** True when something fails, or does not end in time; what is quick comes first. */
async function runs(copy: string): Promise<boolean> {
  const quick = [
    'src/providers/amphora/plan.test.ts',
    'test/crash/builds.test.ts',
    'test/crash/lease.test.ts',
    'test/crash/lifecycle.test.ts',
  ].map((file) => join(copy, file));
  return (await fails(['--test', ...quick])) || fails([join(copy, 'test/crash/until-caught.ts'), String(histories)]);
}

function fails(args: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    // A group of its own: the test runner has children, and a mutant may never end.
    const child = spawn(process.execPath, args, { stdio: 'ignore', detached: true });
    const patience = setTimeout(() => process.kill(-(child.pid as number), 'SIGKILL'), 60_000);
    child.on('close', (code) => {
      clearTimeout(patience);
      resolve(code !== 0);
    });
  });
}

function report(): void {
  const open = survivors.filter((mutant) => !survivorsArgued.some((each) => mutant.file.endsWith(each.file) && mutant.what === each.what));
  const caught = chosen.length - survivors.length;
  console.log(
    `\n${caught} of ${chosen.length} mutants caught (${((100 * caught) / chosen.length).toFixed(1)} %), ${survivors.length - open.length} survivors argued`,
  );
  for (const mutant of survivors)
    console.log(`${open.includes(mutant) ? 'SURVIVED' : 'argued  '} ${mutant.file}:${mutant.line}  ${mutant.what}`);
  process.exitCode = caught / chosen.length < 0.95 ? 1 : 0;
}
