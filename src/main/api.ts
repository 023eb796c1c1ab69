/** The API alone: for several controllers on one PostgreSQL. */
import { runControllers } from './run.ts';

await runControllers({ name: 'api', roles: { api: true, worker: false, health: false, housekeeping: false } });
