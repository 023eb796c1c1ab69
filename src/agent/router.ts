/** From a method and a path to a handler. */
import type { Answer, Call } from './answers.ts';
import { refuseByFramework } from './answers.ts';

/** Handles a call; throws `Refusal` for an error answer. */
export type Handler = (call: Call) => Promise<Answer>;

/** One route: `{name}` in the path stands for one segment. */
export type Route = {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  /** The longest body that it takes. */
  readonly limit_bytes: number;
  readonly handler: Handler;
};

/** The route of a request and the parts of its path. Throws a refusal with 404 or 405. */
export function findRoute(
  routes: readonly Route[],
  method: string,
  path: string,
): { readonly route: Route; readonly params: Record<string, string> } {
  const parts = path.split('/');
  const found = routes.flatMap((route) => {
    const params = match(route.path.split('/'), parts);
    return params === undefined ? [] : [{ route, params }];
  });
  const chosen = found.find(({ route }) => route.method === method);
  if (chosen !== undefined) return chosen;
  throw found.length > 0 ? refuseByFramework(405, 'Method Not Allowed') : refuseByFramework(404, 'Not Found');
}

function match(pattern: readonly string[], parts: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== parts.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, word] of pattern.entries()) {
    const part = parts[index] ?? '';
    if (!word.startsWith('{')) {
      if (word !== part) return undefined;
      continue;
    }
    if (part === '') return undefined;
    try {
      params[word.slice(1, -1)] = decodeURIComponent(part);
    } catch {
      return undefined;
    }
  }
  return params;
}
