/**
 * Which handler answers a path of the load-balancer API. Our own table instead of the framework's, because the answers
 * to unknown methods (405 with `Allow`), suffixes and trailing slashes are part of the API.
 */
import type { Handler } from '../call.ts';

/** The handlers of one path by method. */
export type Methods = Readonly<Partial<Record<'GET' | 'POST' | 'PUT' | 'DELETE', Handler>>>;

/** A path like `/loadbalancers/:id/status` and what answers it; `allow` is what a 405 names, where it is more than the methods. */
export type Route = {
  readonly path: string;
  readonly methods: Methods;
  readonly allow?: string;
  /** The parameters are names, not ids. */
  readonly names?: true;
  /** What the query string may hold, by method; all others are refused. A GET that is not named takes anything, other methods nothing. */
  readonly args?: Readonly<Partial<Record<keyof Methods, readonly string[]>>>;
};

const refusing = new WeakSet<Handler>();

/** Marks a handler that only refuses: it answers a path or method that is none, and the API's description leaves it out. */
export function refusal(handler: Handler): Handler {
  refusing.add(handler);
  return handler;
}

/** Does the handler only refuse? */
export const isRefusal = (handler: Handler): boolean => refusing.has(handler);

type Node = { readonly children: Map<string, Node>; parameter: Node | null; route: Route | null; names: readonly string[] };

/** What was found: the handler, or the methods that the path has. */
export type Match =
  | {
      readonly found: 'handler';
      readonly handler: Handler;
      readonly params: Record<string, string>;
      /** What the query string may hold; null: anything. */
      readonly args: readonly string[] | null;
    }
  | { readonly found: 'other methods'; readonly allow: string }
  | { readonly found: 'nothing' };

/** Finds routes; `segments` are the decoded parts of the path. */
export type Router = (method: string, segments: readonly string[]) => Match;

/** Builds the router of these routes. */
export function createRouter(routes: readonly Route[]): Router {
  const root = newNode();
  for (const route of routes) {
    const parts = route.path.split('/').filter((each) => each !== '');
    let node = root;
    for (const part of parts) node = step(node, part);
    node.route = route;
    node.names = parts.filter((part) => part.startsWith(':')).map((part) => part.slice(1));
  }
  return (method, segments) => {
    const values: string[] = [];
    let node: Node = root;
    let last: Route | null = null;
    for (const segment of segments) {
      const literal = node.children.get(segment);
      if (literal === undefined) values.push(segment);
      const next = literal ?? node.parameter;
      if (next === null) return beyond(method, last);
      node = next;
      last = node.route ?? last;
    }
    if (node.route === null) return { found: 'nothing' };
    const handler = node.route.methods[method as 'GET'];
    if (handler !== undefined) {
      const params = Object.fromEntries(node.names.map((name, at) => [name, readParam(node.route?.names === true, values[at] ?? '')]));
      return { found: 'handler', handler, params, args: node.route.args?.[method as 'GET'] ?? (method === 'GET' ? null : []) };
    }
    return { found: 'other methods', allow: allowOf(node.route) };
  };
}

const allowOf = ({ allow, methods }: Route): string => allow ?? Object.keys(methods).toSorted().join(', ');

/** A path that goes on where no route does: a method that no path has is refused for that, as by the reference. */
const beyond = (method: string, last: Route | null): Match =>
  last === null || ['GET', 'POST', 'PUT', 'DELETE'].includes(method)
    ? { found: 'nothing' }
    : { found: 'other methods', allow: allowOf(last) };

/** Ids are found in any case, names are not. */
const readParam = (isName: boolean, text: string): string =>
  !isName && /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/iu.test(text) ? text.toLowerCase() : text;

const newNode = (): Node => ({ children: new Map(), parameter: null, route: null, names: [] });

function step(node: Node, part: string): Node {
  if (part.startsWith(':')) {
    node.parameter ??= newNode();
    return node.parameter;
  }
  const next = node.children.get(part) ?? newNode();
  node.children.set(part, next);
  return next;
}
