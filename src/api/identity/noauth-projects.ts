/** Projects where nobody logs in: any id is one, so that clients which look one up before they name it (`--project`) can go on. */
import type { FastifyInstance } from 'fastify';
import { Fault } from '../../model/faults.ts';
import { pathPart, prepareFacade, titleOf } from './http.ts';

/** Registers `GET /projects/{id}` at the root, where clients without a catalog ask for everything. */
export function registerNoAuthProjects(app: FastifyInstance): void {
  app.register((scope, _options, done) => {
    prepareFacade(scope, { errorBody: ({ status, message }) => ({ error: { code: status, message, title: titleOf(status) } }) });
    scope.get('/projects/:id', (request) => {
      const id = pathPart(request, 'id');
      if (!/^[\w-]{1,64}$/u.test(id)) throw new Fault(404, `Could not find project: ${id}.`);
      const project = {
        id,
        name: id,
        domain_id: 'default',
        parent_id: 'default',
        is_domain: false,
        enabled: true,
        description: '',
        tags: [],
      };
      return Promise.resolve({ project });
    });
    done();
  });
}
