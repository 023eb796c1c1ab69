/**
 * How a running HAProxy becomes equal to a new configuration: by commands, or by a reload and why. Pure.
 *
 * What commands can change is compared with what the worker *says* that it holds; so the same plan carries out a change,
 * finishes one that was broken off, and repairs what went astray. All else is compared with the configuration that the worker
 * holds, which it cannot tell. Whatever is not understood is a reload, which is always right.
 */
import type { ConfigSection } from '../../wire/haproxy-text.ts';
import { parseListName } from '../../wire/list-files.ts';
import type { ListKind } from '../../wire/list-files.ts';
import type { BackendPair, PlanInput, RuntimePlan, Step } from './steps.ts';
import type { Seen } from './seen.ts';
import { parseServerLine } from './server-line.ts';
import { planServers } from './plan-servers.ts';
import { planTls } from './plan-tls.ts';
import { withoutVersions } from './words.ts';
import { sectionsOf } from './sections.ts';

/** Makes the plan. */
export function planRuntime(input: PlanInput): RuntimePlan {
  const [held, wanted] = [sectionsOf(input.held), sectionsOf(input.wanted)];
  if (held === undefined || wanted === undefined) return reload('the configuration has lines that this agent does not understand');
  const pairs = pairSections(held, wanted);
  if (typeof pairs === 'string') return reload(pairs);
  const difference = pairs.map(differenceOf).find((each) => each !== null);
  if (difference !== undefined && difference !== null) return reload(difference);
  const backends = pairs.filter((pair) => pair.wanted.kind === 'backend');
  const servers = planServers(backends, input);
  if (typeof servers === 'string') return reload(servers);
  const limits = planLimits(wanted, input.seen);
  if (typeof limits === 'string') return reload(limits);
  const lists = planLists(input);
  if (typeof lists === 'string') return reload(lists);
  const tls = planTls(wanted, input);
  if (typeof tls === 'string') return reload(tls);
  return { by: 'commands', steps: [...lists, ...tls.steps, ...servers.adding, ...limits, ...servers.leaving], tls: tls.tls };
}

/** Does the frontend or backend have the same lines, but for those that commands change? The reason why not names no values: they may be secret. */
function differenceOf({ held, wanted }: BackendPair): string | null {
  const [before, after] = [fixedLines(held), fixedLines(wanted)];
  for (let index = 0; index < Math.max(before.length, after.length); index += 1) {
    if (before[index]?.text === after[index]?.text) continue;
    const keyword = (after[index] ?? before[index])?.keyword ?? '';
    return `${held.kind}${held.name === undefined ? '' : ` ${held.name}`}: ${keyword} changes`;
  }
  return null;
}

function pairSections(held: readonly ConfigSection[], wanted: readonly ConfigSection[]): readonly BackendPair[] | string {
  const keyOf = (section: ConfigSection): string => (section.name === undefined ? section.kind : `${section.kind} ${section.name}`);
  const before = new Map(held.map((section) => [keyOf(section), section]));
  const after = new Set(wanted.map(keyOf));
  const gone = held.find((section) => !after.has(keyOf(section)));
  if (gone !== undefined) return `${keyOf(gone)} goes`;
  if (before.size !== held.length || after.size !== wanted.length) return 'two sections have the same name';
  const pairs: BackendPair[] = [];
  for (const section of wanted) {
    const found = before.get(keyOf(section));
    if (found === undefined) return `${keyOf(section)} is new`;
    pairs.push({ held: found, wanted: section });
  }
  return pairs;
}

type FixedLine = { readonly keyword: string; readonly text: string };

/** The lines that no command changes, with the versions of lists made equal. */
function fixedLines(section: ConfigSection): readonly FixedLine[] {
  return section.lines.flatMap(({ tokens }) => {
    if (section.kind === 'backend' && parseServerLine(tokens) !== undefined) return [];
    const isLimit = section.kind === 'frontend' && tokens[0] === 'maxconn';
    const words = isLimit ? ['maxconn'] : tokens.map(withoutVersions);
    return [{ keyword: tokens[0] ?? '', text: JSON.stringify(words) }];
  });
}

function planLimits(wanted: readonly ConfigSection[], seen: Seen): readonly Step[] | string {
  const steps: Step[] = [];
  for (const section of wanted) {
    if (section.kind !== 'frontend') continue;
    const limit = section.lines.find(({ tokens }) => tokens[0] === 'maxconn')?.tokens[1];
    const current = seen.limits.get(section.name ?? '');
    if (limit === undefined || Number(limit) === current) continue;
    if (current === undefined) return `frontend ${section.name} is not in the running process`;
    steps.push({ do: 'command', command: `set maxconn frontend ${section.name} ${limit}`, answer: '' });
  }
  return steps;
}

function planLists({ wanted, lists, seen }: PlanInput): readonly Step[] | string {
  const running = new Map([...seen.lists.keys()].map((path) => [slotOf(path), path]));
  const steps: Step[] = [];
  for (const [name, entries] of lists) {
    if (!wanted.includes(name)) continue;
    const path = running.get(slotOf(name));
    const kind = parseListName(name)?.kind ?? 'acl';
    if (path === undefined) return `the list ${name} is not in the running process`;
    if (!isSameList(kind, entries, seen.lists.get(path) ?? [])) steps.push({ do: 'list', kind, path, entries });
  }
  return steps;
}

/** The order of patterns means nothing, that of a map's regular expressions does. */
function isSameList(kind: ListKind, one: readonly string[], other: readonly string[]): boolean {
  const ordered = (entries: readonly string[]) => (kind === 'acl' ? [...new Set(entries)].toSorted() : entries);
  return JSON.stringify(ordered(one)) === JSON.stringify(ordered(other));
}

function slotOf(path: string): string {
  const name = parseListName(path.slice(path.lastIndexOf('/') + 1));
  return name === undefined ? path : `${name.slot}.${name.kind}`;
}

const reload = (reason: string): RuntimePlan => ({ by: 'reload', reason });
