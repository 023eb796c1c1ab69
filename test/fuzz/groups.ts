/** What groups of routes were asked and how they answered, as lines of a table. */
import type { Asked } from './fuzz-routes.ts';
import { nameOf } from './routes.ts';

type Group = { routes: number; asked: number; right: number; accepted: number; slowest_ms: number; never: string[] };

/** Routes that no request can succeed on, whatever it holds. */
export const alwaysRefused: readonly RegExp[] = [
  /^(?:GET|POST) \/identity\/v3\/(?:groups|credentials|policies|limits|registered_limits|OS-TRUST\/trusts|OS-FEDERATION\/\w+)(?:\/:id)?$/u,
  /^(?:POST|PUT|DELETE) \/network\/v2\.0\/routers(?:\/:id)?$/u,
  /^(?:PUT|PATCH|DELETE) \/key-manager\/v1\/(?:secrets|containers)$/u,
  /^(?:POST|PATCH) \/key-manager\/v1\/secrets\/:id$/u,
  /^(?:POST|PUT|PATCH|DELETE) \/key-manager\/v1\/secrets\/:id\/payload$/u,
  /^(?:POST|PUT|PATCH) \/key-manager\/v1\/containers\/:id$/u,
  /^POST \/key-manager\/v1\/(?:orders|(?:secrets|containers)\/:id\/acl)$/u,
];

/** Can a request to it succeed? The lists of what identity has none of do. */
export function maySucceed({ route }: Pick<Asked, 'route'>): boolean {
  const name = nameOf(route);
  const isEmptyList = route.method === 'GET' && !route.path.endsWith('/:id');
  return !route.refuses && (isEmptyList || !alwaysRefused.some((each) => each.test(name)));
}

/** Asked so often with nothing odd, one that can succeed has succeeded. */
const OFTEN = 60;

/** A route that requests no more come through to: what is asked of it does not fit it. */
export const isNeverAccepted = (each: Asked): boolean => each.accepted === 0 && each.right >= OFTEN && maySucceed(each);

/** The first two parts that say something: `load-balancer listeners`, `identity users`. */
function groupOf({ service, path }: Asked['route']): string {
  const rest = path
    .split('/')
    .slice(1)
    .filter((part) => !/^(?:v\d.*|lbaas|identity|network|key-manager)$/u.test(part));
  return `${service} ${rest[0] ?? '/'}`;
}

/** One line for each group: routes, requests, how many had nothing odd and how many of those succeeded, the slowest; then what never did. */
export function groupTable(routes: ReadonlyMap<string, Asked>): string[] {
  const groups = new Map<string, Group>();
  for (const each of routes.values()) {
    const name = groupOf(each.route);
    const group = groups.get(name) ?? { routes: 0, asked: 0, right: 0, accepted: 0, slowest_ms: 0, never: [] };
    group.routes += 1;
    group.asked += each.asked;
    group.right += each.right;
    group.accepted += each.accepted;
    group.slowest_ms = Math.max(group.slowest_ms, each.slowest_ms);
    if (isNeverAccepted(each)) group.never.push(nameOf(each.route));
    groups.set(name, group);
  }
  return [...groups].toSorted(([one], [other]) => (one < other ? -1 : 1)).map(([name, group]) => lineOf(name, group));
}

function lineOf(name: string, { routes, asked, right, accepted, slowest_ms, never }: Group): string {
  const share = right === 0 ? '-' : `${Math.round((100 * accepted) / right)} %`;
  const line = `${name.padEnd(44)} ${String(routes).padStart(3)} routes ${String(asked).padStart(7)} asked ${share.padStart(6)} of the right ones accepted, slowest ${Math.round(slowest_ms)} ms`;
  return never.length === 0 ? line : `${line}; never ${never.join(', ')}`;
}
