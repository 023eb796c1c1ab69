/** A controller worker alone; any number of them share the work. */
import { runControllers } from './run.ts';

await runControllers({ name: 'worker', roles: { api: false, worker: true, health: false, housekeeping: false } });
