/** Lists beside a configuration: files of patterns and maps (`wire/list-files.ts`). */
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { writeFileAtomic } from '../../lib/atomic-file.ts';
import { listMd5, parseListName } from '../../wire/list-files.ts';
import { refuse } from '../answers.ts';
import { readIfThere } from '../files.ts';
import { loadBalancerPlaces } from '../places.ts';
import type { Places } from '../places.ts';

/** One that was uploaded and never used is kept for so long: the configuration that names it may be under way. */
const UNUSED_MS = 600_000;

/** Stores a list; answers its MD5. Throws a refusal with 400 for a name that is none, or not that of the content. */
export async function storeList(places: Places, loadbalancer_id: string, name: string | undefined, content: Buffer): Promise<string> {
  const parsed = parseListName(name ?? '');
  if (parsed === undefined) throw refuse(400, 'Filename has wrong format');
  const md5 = listMd5(content);
  if (parsed.md5 !== md5) throw refuse(400, 'Invalid request', `the content has the MD5 ${md5}`);
  const { lists } = loadBalancerPlaces(places, loadbalancer_id);
  await mkdir(lists, { recursive: true, mode: 0o755 });
  await writeFileAtomic(`${lists}/${name}`, content);
  return md5;
}

/** Names of the lists that are there. */
export async function listNames(places: Places, loadbalancer_id: string): Promise<readonly string[]> {
  const names = await readdir(loadBalancerPlaces(places, loadbalancer_id).lists).catch(() => []);
  return names.filter((name) => parseListName(name) !== undefined).toSorted();
}

/** The content of a list; undefined when it is not there. */
export async function readList(places: Places, loadbalancer_id: string, name: string): Promise<string | undefined> {
  return readIfThere(`${loadBalancerPlaces(places, loadbalancer_id).lists}/${name}`);
}

/** Names of the lists that a configuration names, whoever wrote it. */
export function listsIn(config: string): readonly string[] {
  const names = config.match(/[a-z0-9-]{1,80}\.[0-9a-f]{32}\.(?:acl|map)(?![\w.-])/gu) ?? [];
  return [...new Set(names)];
}

/**
 * Throws a refusal with 409 when a list is missing that the configuration names: HAProxy's own complaint would look as if the
 * configuration were wrong.
 */
export async function checkListsOf(places: Places, loadbalancer_id: string, config: string): Promise<void> {
  const there = await listNames(places, loadbalancer_id);
  const missing = listsIn(config).find((name) => !there.includes(name));
  if (missing !== undefined) throw refuse(409, 'Conflict', `the list ${missing} has to be uploaded first`);
}

/** Removes the lists that none of these configurations names. */
export async function removeUnusedLists(places: Places, loadbalancer_id: string, configs: readonly string[]): Promise<void> {
  const used = new Set(configs.flatMap(listsIn));
  const { lists } = loadBalancerPlaces(places, loadbalancer_id);
  for (const name of await listNames(places, loadbalancer_id)) {
    if (used.has(name)) continue;
    const found = await stat(`${lists}/${name}`).catch(() => undefined);
    if (found !== undefined && Date.now() - found.mtimeMs > UNUSED_MS) await rm(`${lists}/${name}`, { force: true });
  }
}

/** The MD5 of a stored list. Throws a refusal with 404. */
export async function checkedListMd5(places: Places, loadbalancer_id: string, name: string | undefined): Promise<string> {
  const { lists } = loadBalancerPlaces(places, loadbalancer_id);
  if (parseListName(name ?? '') === undefined) throw refuse(404, 'List Not Found');
  const content = await readFile(`${lists}/${name}`).catch(() => undefined);
  if (content === undefined) throw refuse(404, 'List Not Found', `No list with filename: ${name}`);
  return listMd5(content);
}
