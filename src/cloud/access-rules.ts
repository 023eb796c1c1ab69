/**
 * Access rules of application credentials: which requests the bearer may send at all (Identity API v3, "Application Credentials", and
 * keystonemiddleware, which services judge them by). Policy decides afterwards, as for everybody.
 */
import { Fault } from '../model/faults.ts';
import type { Caller } from './identity.ts';

/** One kind of request that is allowed. */
export type AccessRule = {
  /** The service's type in the catalog, such as `load-balancer`. */
  readonly service: string;
  readonly method: string;
  /** A path with `*` or `{name}` for one part of it, `**` for anything. */
  readonly path: string;
};

/** A request as rules see it: the service it is for, and its path, whole or below the service's address. */
export type AskedRequest = { readonly service: string; readonly method: string; readonly paths: readonly string[] };

/** Throws `Fault` 401 when the caller's credential has rules and none allows the request. */
export function requireAccess(caller: Caller, { service, method, paths }: AskedRequest): void {
  if (caller.access_rules === undefined) return;
  const isAllowed = caller.access_rules.some(
    (rule) => rule.service === service && rule.method === method && paths.some((path) => pathMatches(path, rule.path)),
  );
  if (!isAllowed) throw new Fault(401, 'The request you have made requires authentication.');
}

/**
 * The caller of a request that came with a second token. What a service passes on is not what the bearer asked for, so it is free of the
 * rules; the reference frees it for any second token, also for the same one again.
 */
export function passOn({ access_rules, ...caller }: Caller, service_roles: readonly string[], isService: boolean): Caller {
  return { ...caller, service_roles, ...(!isService && access_rules !== undefined && { access_rules }) };
}

/**
 * Does a path match a rule's? In time of the lengths' product: as a regular expression, which the reference makes of it, a rule of
 * many `**` would take for ever.
 */
export function pathMatches(path: string, pattern: string): boolean {
  // reached[i]: the words so far match the first i characters.
  let reached: readonly boolean[] = Array.from({ length: path.length + 1 }, (_, at) => at === 0);
  for (const [word] of pattern.matchAll(/\*\*|\*|\{[^}]*\}|[^*{]+|\{/gu)) reached = advance(path, reached, word);
  return reached[path.length] === true;
}

function advance(path: string, from: readonly boolean[], word: string): readonly boolean[] {
  const to = from.map(() => false);
  const isPart = word === '*' || (word.startsWith('{') && word.endsWith('}'));
  for (let at = 0; at <= path.length; at += 1) {
    const before = at > 0 && to[at - 1] === true;
    if (word === '**') to[at] = from[at] === true || before;
    else if (isPart) to[at] = at > 0 && path[at - 1] !== '/' && (from[at - 1] === true || before);
    else to[at] = at >= word.length && from[at - word.length] === true && path.startsWith(word, at - word.length);
  }
  return to;
}
