/** Which form errors have below which path: what the server refuses before any service sees it is worded as that service would. */
import type { FastifyInstance } from 'fastify';

/** The body of an error. */
export type ErrorForm = (shown: { readonly status: number; readonly message: string; readonly cause: unknown }) => object;

const forms = new WeakMap<object, Map<string, ErrorForm>>();

/** Notes the form of a service that has a prefix of its own: not of one that shares the load-balancer API's paths. */
export function noteForm(scope: FastifyInstance, form: ErrorForm): void {
  const [, first] = scope.prefix.split('/');
  if (first === undefined || first === '') return;
  const noted = forms.get(scope.server) ?? new Map<string, ErrorForm>();
  forms.set(scope.server, noted.set(first, form));
}

/** The form of the service that a path belongs to; null: the load-balancer API's. */
export function findForm(app: Pick<FastifyInstance, 'server'>, url: string): ErrorForm | null {
  return forms.get(app.server)?.get(/^\/([^/?]*)/u.exec(url)?.[1] ?? '') ?? null;
}
