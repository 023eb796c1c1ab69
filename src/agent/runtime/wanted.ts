/** What the files of a load balancer say that HAProxy is to hold. */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { sectionsOf } from './sections.ts';
import { parseTlsFileName } from '../../wire/tls-files.ts';
import { readIfThere } from '../files.ts';
import { loadBalancerPlaces } from '../places.ts';
import type { Places } from '../places.ts';
import type { Wanted } from './changer.ts';
import { listsIn, readList } from './lists.ts';
import { tlsReferences } from './plan-tls.ts';

/** Reads the certificates and lists that belong to a configuration. */
export async function wantedOf(places: Places, loadbalancer_id: string, text: string): Promise<Wanted> {
  const folder = loadBalancerPlaces(places, loadbalancer_id).certificates;
  // Names with the MD5 of their content are covered by the configuration, and come and go while nothing uses them.
  const names = (await readdir(folder).catch(() => [])).filter((name) => parseTlsFileName(name) === undefined);
  const files = await Promise.all(names.toSorted().map(async (name) => [name, md5Of(await readFile(`${folder}/${name}`))]));
  const lists = new Map<string, readonly string[]>();
  for (const name of listsIn(text)) {
    const content = await readList(places, loadbalancer_id, name);
    if (content !== undefined)
      lists.set(
        name,
        content.split('\n').filter((entry) => entry !== ''),
      );
  }
  const crtLists = await crtListsOf(text);
  const certificates = md5Of(JSON.stringify(files));
  return { text, md5: md5Of(text), fingerprint: md5Of(JSON.stringify([text, certificates])), certificates, lists, crtLists };
}

/** The lists of certificates that a configuration of ours names. */
async function crtListsOf(text: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>();
  // Reading a whole configuration takes a millisecond per thousand lines; most have no TLS.
  const references = text.includes(' crt-list ') ? tlsReferences(sectionsOf(text) ?? []) : [];
  for (const { kind, path } of references) {
    const content = kind === 'crt-list' ? await readIfThere(path) : undefined;
    if (content !== undefined)
      found.set(
        path,
        content.split('\n').filter((entry) => entry !== ''),
      );
  }
  return found;
}

/** When the configuration or a certificate was last changed, in milliseconds since the epoch. */
export async function lastChange(places: Places, loadbalancer_id: string): Promise<number> {
  const { config, certificates } = loadBalancerPlaces(places, loadbalancer_id);
  const names = (await readdir(certificates).catch(() => [])).filter((name) => parseTlsFileName(name) === undefined);
  const times = await Promise.all(
    [config, ...names.map((name) => `${certificates}/${name}`)].map(async (path) => (await stat(path)).ctimeMs),
  );
  return Math.max(...times);
}

/** MD5 in hexadecimal, which the API uses as a file's name of its content, not as a protection. */
export function md5Of(content: string | Buffer): string {
  return createHash('md5').update(content).digest('hex');
}
