import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { outdatedPages } from '../../tools/api-docs.ts';
import { configurationPage } from '../../tools/config-docs.ts';
import { functionsOf } from '../../tools/scan/functions.ts';
import { folderOf } from '../../tools/scan/imports.ts';
import { readSources } from '../../tools/scan/source.ts';
import { barrels, circles, environmentReaders, forbiddenEdges, forbiddenPackages, impurities } from './check-imports.ts';
import { badNames, leftovers, tooLarge, undocumented } from './check-text.ts';
import { folders, longer, pureExceptions } from './rules.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const source = readSources(root, ['src']);
const everything = readSources(root, ['src', 'test', 'tools']);
const page = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Fails with the violations as they are, a line each. */
function none(violations: readonly string[]): void {
  if (violations.length > 0) assert.fail(`\n${violations.join('\n')}`);
}

test('folders import only what the rules name', () => none(forbiddenEdges(source)));
test('packages are imported only where the rules say', () => none(forbiddenPackages(source)));
test('files do not import each other in circles', () => none(circles(everything)));
test('there are no barrels but that of the model', () => none(barrels(source)));
test('model, plan, render and the derivation of statuses are pure', () => none(impurities(source)));
test('only main and config read the environment and arguments', () => none(environmentReaders(source)));
test('files, functions and folders keep to their sizes', () => none(tooLarge(everything)));
test('each exported declaration has a doc comment', () => none(undocumented(everything)));
test('files have names in kebab-case that say something', () => none(badNames(everything)));
test('nothing is left undone in the source', () =>
  none(leftovers(everything.filter(({ path }) => !path.startsWith('test/architecture/')))));

test('each folder of src has a rule', () => {
  const present = new Set(source.map(({ path }) => folderOf(path)));
  none([...present].filter((folder) => folder !== undefined && folders[folder] === undefined).map((folder) => `src/${folder} has no rule`));
});

test('exceptions are about things that exist', () => {
  const names = new Set(everything.flatMap((each) => [each.path, ...functionsOf(each).map(({ name }) => `${each.path} ${name}`)]));
  const gone = [...longer.map(({ what }) => what), ...pureExceptions.map(({ path }) => path)].filter(
    (what) => !names.has(what) && !existsSync(join(root, what)),
  );
  none(gone.map((what) => `${what} is gone: remove the exception`));
});

test('ARCHITECTURE.md names each folder of src', () => {
  const text = page('ARCHITECTURE.md');
  const present = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  none(present.filter(({ name }) => !text.includes(`src/${name}`)).map(({ name }) => `ARCHITECTURE.md does not name src/${name}`));
});

test('paths that the documents name exist', () => {
  const documents = [
    'README.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    ...readdirSync(join(root, 'docs/adr')).map((name) => `docs/adr/${name}`),
  ];
  const gone = documents.flatMap((document) => {
    const named = [
      ...page(document).matchAll(/(?:`|\]\()((?:src|test|tools|docs|changes|\.ci)\/[\w./-]+|[A-Z]+\.md|[\w-]+\.mjs)(?:`|\))/gu),
    ].map((match) => match[1] ?? '');
    return named.filter((path) => !existsSync(join(root, path))).map((path) => `${document} names ${path}, which does not exist`);
  });
  none(gone);
});

test('docs/configuration.md is what the table of options says', () => {
  assert.equal(page('docs/configuration.md'), configurationPage(), 'run node_modules/.bin/node tools/config-docs.ts');
  assert.deepEqual(outdatedPages(), [], 'run node_modules/.bin/node tools/api-docs.ts');
});
