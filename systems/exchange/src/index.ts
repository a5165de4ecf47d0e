/** The system as a part of another program. */
export { faultless, type Behaviour } from './account/behaviour.ts'
export { ExchangeSystem, type SystemOptions } from './system.ts'
