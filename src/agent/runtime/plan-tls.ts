/**
 * The part of a plan that concerns certificates, authorities and revocation lists. Pure.
 *
 * Authorities and revocation lists are never exchanged while HAProxy runs, though it has commands for it: in 2.6.12 and 3.0.11 the
 * default certificate's context keeps the old authorities after `commit ssl ca-file`, takes no other certificate any more, and the
 * second commit kills the worker.
 */
import type { ConfigSection } from '../../wire/haproxy-text.ts';
import { parseTlsFileName } from '../../wire/tls-files.ts';
import type { PlanInput, Step, TlsHeld } from './steps.ts';

/** What to do, and what the worker then has. */
export type TlsSteps = { readonly steps: readonly Step[]; readonly tls: TlsHeld };

/** Words after which a file with secrets is named, and what the commands call it. */
const kinds = { 'ca-file': 'ca-file', 'crl-file': 'crl-file', crt: 'cert', 'crt-list': 'crt-list' } as const;

type Kind = (typeof kinds)[keyof typeof kinds];

/** A file that a configuration names. */
export type TlsReference = { readonly kind: Kind; readonly path: string };

/** The files with names of ours that a configuration names, each once. */
export function tlsReferences(sections: readonly ConfigSection[]): readonly TlsReference[] {
  const found = new Map<string, TlsReference>();
  for (const { lines } of sections)
    for (const { tokens } of lines)
      for (const [index, token] of tokens.entries()) {
        const kind = kinds[tokens[index - 1] as keyof typeof kinds];
        if (kind !== undefined && nameOf(token) !== undefined) found.set(token, { kind, path: token });
      }
  return [...found.values()];
}

/** What a worker has that was started with a configuration: each file under its own name. */
export function tlsAtStart(sections: readonly ConfigSection[], crtLists: ReadonlyMap<string, readonly string[]>): TlsHeld {
  const paths = tlsReferences(sections).flatMap(({ path }) => [path, ...(crtLists.get(path) ?? [])]);
  return Object.fromEntries(paths.map((path) => [path, baseName(path)]));
}

/** Where the running worker has what a path of the configuration stands for: the same place, loaded under an earlier name. */
export function runningPath(path: string, held: TlsHeld): string | undefined {
  const place = placeOf(path);
  return place === undefined ? path : Object.keys(held).find((each) => placeOf(each) === place);
}

/** Plans the files; answers the reason when only a reload can do it. */
export function planTls(wanted: readonly ConfigSection[], input: PlanInput): TlsSteps | string {
  const references = tlsReferences(wanted);
  const work: Work = { held: input.tls, tls: { ...input.tls }, secrets: new Map(), adding: [], removing: [], used: new Set() };
  for (const { kind, path } of references) {
    const running = runningPath(path, input.tls);
    if (running === undefined) return `a file for ${kind} is not in the running process`;
    work.used.add(running);
    if (kind === 'cert') setSecret(work, running, path);
    else if (kind !== 'crt-list') {
      if (input.tls[running] !== baseName(path)) return `the content of a ${kind} changes`;
    } else {
      const entries = input.crtLists.get(path);
      const seen = input.seen.crt_lists.get(running);
      if (entries === undefined || seen === undefined) return 'a list of certificates is not in the running process';
      const reason = planCrtList(work, { list: running, seen, entries });
      if (reason !== null) return reason;
      work.tls[running] = baseName(path);
    }
  }
  // Files of a pool stay: it may be without members for now. Those for names are many, and gone for good.
  const unused = Object.keys(work.tls).filter((path) => !work.used.has(path) && nameOf(path)?.slot === 'sni');
  for (const path of unused) {
    work.removing.push({ do: 'forget', path });
    delete work.tls[path];
  }
  return { steps: [...work.secrets.values(), ...work.adding, ...work.removing], tls: work.tls };
}

type Work = {
  readonly held: TlsHeld;
  readonly tls: Record<string, string>;
  readonly secrets: Map<string, Step>;
  readonly adding: Step[];
  readonly removing: Step[];
  readonly used: Set<string>;
};

type CrtList = { readonly list: string; readonly seen: readonly string[]; readonly entries: readonly string[] };

/** The first is what clients get that name no other: HAProxy cannot exchange the entry, only its content. */
function planCrtList(work: Work, { list, seen, entries }: CrtList): string | null {
  const running = entries.map((path) => runningPath(path, work.tls) ?? path);
  if (running[0] !== seen[0]) return 'the default certificate is not in the running process';
  for (const [index, path] of running.entries()) {
    work.used.add(path);
    setSecret(work, path, entries[index] ?? path);
    if (!seen.includes(path)) work.adding.push({ do: 'entry', change: 'add', list, path });
  }
  for (const path of seen) if (!running.includes(path)) work.removing.push({ do: 'entry', change: 'del', list, path });
  return null;
}

function setSecret({ held, tls, secrets }: Work, path: string, source: string): void {
  if (held[path] === baseName(source)) return;
  // '' is one that a change was broken off at: it may not be there yet.
  secrets.set(path, { do: 'certificate', path, source, is_new: (held[path] ?? '') === '' });
  tls[path] = baseName(source);
}

/** The slot of a file; certificates for names share one and are told apart by what they come from. */
function placeOf(path: string): string | undefined {
  const name = nameOf(path);
  return name === undefined || name.slot !== 'sni' ? name?.slot : `${name.slot}.${name.reference}`;
}

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
const nameOf = (path: string) => parseTlsFileName(baseName(path));
