/** `npm start`: everything on one machine in one process, in the foreground. */
import { runControllers } from './run.ts';

await runControllers({ name: 'all', roles: { api: true, worker: true, health: true, housekeeping: true } });
