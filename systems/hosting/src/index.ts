export { brokerEntry, type BrokerConfig, type BrokerFacts } from './broker/entry.ts'
export { explainBrokers } from './broker/explain.ts'
export { checkReachable } from './broker/reachable.ts'
export { isAway, isUndone } from './database/away.ts'
export { connectDatabase, isRefusal, withoutPassword } from './database/connect.ts'
export { databaseEntry, type DatabaseFacts } from './database/entry.ts'
export {
  startServer as startDatabase,
  type Server as DatabaseServer,
  type ServerOptions as DatabaseOptions,
} from './database/server.ts'
export { inTransaction } from './database/transaction.ts'
export { allSettled, Foundation, type Surroundings } from './foundation.ts'
export { createApp, listen, type App, type AppOptions } from './http/app.ts'
export { sendEvents } from './http/events.ts'
export { HttpTimeout, JsonClient, type HttpAnswer, type HttpCall } from './http/json-client.ts'
export {
  problem,
  ProblemError,
  problemSchema,
  sendProblem,
  unavailable,
  type Problem,
} from './http/problem.ts'
export { idSchema, textSchema } from './http/text.ts'
export { outcomeProblem } from './http/outcome-problem.ts'
export { Watching, type Watched } from './http/watching.ts'
export { numberReader, randomPrefix, readArgs, readPrefix, refuseOptions } from './process/arguments.ts'
export { withCompileCache } from './process/compile-cache.ts'
export { runChild, type RunningChild } from './process/child.ts'
export { runCommand, type Command } from './process/command.ts'
export { findFreePort, requireFreePort } from './process/free-port.ts'
export { childrenOf, cpuOf, cpuOfAll, cpuOfFamily, listeners, memoryOf, type Child } from './process/proc.ts'
export { Services, type ServiceFacts } from './process/services.ts'
export { messageOf, StartError } from './process/start-error.ts'
export { requireWritable } from './process/writable.ts'
export { SupervisedChild, type ChildSpec, type SupervisorOptions } from './process/supervisor.ts'
export { formatColumns, type Cells } from './terminal/columns.ts'
export { Progress } from './terminal/progress.ts'
