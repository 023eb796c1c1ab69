import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spreadOf } from '../../tools/measure.ts';
import { functionsOf } from '../../tools/scan/functions.ts';
import { circlesOf, importsOf } from '../../tools/scan/imports.ts';
import { blanked, sourceOf } from '../../tools/scan/source.ts';
import { barrels, circles, environmentReaders, forbiddenEdges, forbiddenPackages, impurities } from './check-imports.ts';
import { badNames, leftovers, tooLarge, undocumented } from './check-text.ts';

// The checks must be able to fail: each gets an example of what it forbids, and one of what it allows.

test('strings, comments, templates and patterns are blanked, code in templates is not', () => {
  const text = "a('x{'); /* { */ b(`t{${c({})}}`); // {\nd(/[/{]/u.test(e) / 2);";
  const code = blanked(text);
  assert.equal(code.length, text.length);
  assert.equal(code.replaceAll(/\s+/gu, ''), "a('');b(`${c({})}`);d(.test(e)/2);");
});

test('imports of all forms are found, with their lines and whether they are only types', () => {
  const text = `import { a } from './a.ts';
import type { B } from '../db/b.ts';
import { type C } from 'pkg';
import {
  d,
} from './d.ts';
import './e.ts';
export { f } from './f.ts';
const g = await import('./g.ts');
const text = "import { no } from './no.ts'";
export const from = 'h';`;
  const found = importsOf(sourceOf('src/api/x.ts', text));
  assert.deepEqual(
    found.map(({ target, line, isType }) => `${line} ${target}${isType ? ' type' : ''}`),
    ['1 src/api/a.ts', '2 src/db/b.ts type', '3 pkg', '4 src/api/d.ts', '7 src/api/e.ts', '8 src/api/f.ts', '9 src/api/g.ts'],
  );
});

test('functions of all forms are measured', () => {
  const text = `function plain(a: string): void {
  return;
}
export async function typed<T>(a: T): Promise<{ a: T }> {
  if (a) {
    call(() => {
    });
  }
  return { a };
}
const arrow = (a: number): number => a + 1;
const block = async (): Promise<void> => {
};
class K {
  constructor(a: string) {
  }
  get #x(): { y: string } {
    return { y: '}' };
  }
}
const o = {
  m(a: string) {
  },
  n: (a: string) => {
  },
};
interface I {
  none(a: string): void;
}`;
  const found = functionsOf(sourceOf('x.ts', text)).map(({ name, line, lines }) => `${line} ${name} ${lines}`);
  assert.deepEqual(found, ['1 plain 3', '4 typed 7', '11 arrow 1', '12 block 2', '15 constructor 2', '17 #x 3', '22 m 2', '24 n 2']);
});

test('a forbidden edge is told with its reason, an allowed one is not', () => {
  const bad = forbiddenEdges([
    sourceOf('src/model/pool.ts', "import { x } from '../db/pools.ts';"),
    sourceOf('src/api/pools.ts', "import { x } from '../worker/worker.ts';"),
    sourceOf('src/worker/x.ts', "import { x } from '../main/all.ts';"),
    sourceOf('src/new/x.ts', "import { x } from '../db/pools.ts';"),
    sourceOf('src/lib/x.ts', "import { x } from '../../test/support/x.ts';"),
  ]);
  assert.equal(bad.length, 5);
  assert.match(bad[0] ?? '', /src\/model\/pool\.ts:1 imports src\/db\/pools\.ts, but the domain/);
  assert.match(bad[2] ?? '', /nothing imports main/);
  const good = [
    sourceOf('src/api/pools.ts', "import { x } from '../db/pools.ts';"),
    sourceOf('src/main/all.ts', "import { x } from '../api/x.ts';"),
  ];
  assert.deepEqual(forbiddenEdges(good), []);
});

test('packages out of their place are told', () => {
  assert.equal(forbiddenPackages([sourceOf('src/api/x.ts', "import { sql } from 'kysely';")]).length, 1);
  assert.equal(forbiddenPackages([sourceOf('src/providers/noop/x.ts', "import { request } from 'node:https';")]).length, 1);
  assert.deepEqual(forbiddenPackages([sourceOf('src/db/x.ts', "import { sql } from 'kysely';")]), []);
});

test('circles and barrels are told; a circle of types alone is none', () => {
  const a = sourceOf('src/db/a.ts', "import { b } from './b.ts';");
  assert.deepEqual(circles([a, sourceOf('src/db/b.ts', "import { a } from './a.ts';")]), ['src/db/a.ts → src/db/b.ts → src/db/a.ts']);
  assert.deepEqual(circlesOf([a, sourceOf('src/db/b.ts', "import type { A } from './a.ts';")].flatMap(importsOf)), []);
  assert.equal(barrels([sourceOf('src/db/all.ts', "export * from './a.ts';")]).length, 1);
  assert.equal(barrels([sourceOf('src/db/index.ts', 'export const a = 1;')]).length, 1);
  assert.deepEqual(barrels([sourceOf('src/model/index.ts', "export * from './a.ts';")]), []);
});

test('clock, randomness and the outside are told in pure files only', () => {
  const texts = [
    'const a = Date.now();',
    'const a = new Date();',
    'const a = Math.random();',
    "import { readFileSync } from 'node:fs';",
    'console.log(1);',
  ];
  for (const text of texts) {
    assert.equal(impurities([sourceOf('src/providers/amphora/plan-listener.ts', text)]).length, 1, text);
    assert.deepEqual(impurities([sourceOf('src/worker/worker.ts', text)]), []);
  }
  assert.deepEqual(impurities([sourceOf('src/model/x.ts', "const a = new Date(0); // not Date.now()\nconst b = 'Math.random';")]), []);
});

test('reading the environment outside of main and config is told', () => {
  assert.equal(environmentReaders([sourceOf('src/db/x.ts', 'const a = process.env.HOME;')]).length, 1);
  assert.deepEqual(environmentReaders([sourceOf('src/config/x.ts', 'const a = process.env.HOME;')]), []);
});

test('what is too long is told', () => {
  const body = (lines: number): string => `function long() {\n${'  x();\n'.repeat(lines - 2)}}\n`;
  assert.deepEqual(tooLarge([sourceOf('src/db/x.ts', body(80))]), []);
  assert.match(tooLarge([sourceOf('src/db/x.ts', body(81))])[0] ?? '', /src\/db\/x\.ts:1 long has 81 lines/);
  assert.match(tooLarge([sourceOf('src/db/x.ts', 'x();\n'.repeat(501))])[0] ?? '', /has 501 lines/);
  const crowd = Array.from({ length: 26 }, (_, index) => sourceOf(`src/wire/f${index}.ts`, ''));
  assert.deepEqual(tooLarge(crowd), ['src/wire has 26 files; 25 are the limit']);
});

test('missing comments, bad names and leftovers are told', () => {
  const text =
    '/** Good. */\nexport const a = 1;\nexport const b = 2;\n/** Shared. */\nexport function c(): void;\nexport function c(x?: string): void {}\n';
  assert.deepEqual(undocumented([sourceOf('x.ts', text)]), ['x.ts:3 b has no doc comment']);
  assert.equal(undocumented([sourceOf('x.ts', '/* plain */\nexport type A = string;')]).length, 1);
  assert.deepEqual(badNames([sourceOf('src/db/load-tree.ts', ''), sourceOf('a/x.test.ts', '')]), []);
  assert.equal(badNames([sourceOf('src/db/loadTree.ts', ''), sourceOf('src/db/string-utils.ts', '')]).length, 2);
  assert.equal(leftovers([sourceOf('x.ts', `// ${'TO'}DO later`)]).length, 1);
});

test('the spread of numbers is median, 95th percentile and largest', () => {
  assert.deepEqual(spreadOf(Array.from({ length: 100 }, (_, index) => index + 1)), { median: 51, p95: 96, max: 100 });
  assert.deepEqual(spreadOf([]), { median: 0, p95: 0, max: 0 });
});
