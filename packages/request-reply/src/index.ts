// oxlint-disable-next-line import/no-unassigned-import -- it says which Node is needed before anything else is loaded
import './node-version.ts'
export { systemClock, type Clock, type ScheduledTimer } from './clock.ts'
export { channelNames } from './diagnostics.ts'
export type {
  CommittedStep,
  HandlerEndedStep,
  HandlingEndedStep,
  HandlingOutcome,
  HandlingStep,
  HandlingTrace,
  PassedOverStep,
  ReceivedStep,
  RejectedStep,
  RepliedStep,
  WarningStep,
  RequestEndedStep,
  RequestOutcome,
  RequestStep,
  RequestTrace,
  SendEndedStep,
  SendTrace,
  SentStep,
  StrayStep,
} from './diagnostics.ts'
export {
  defineOperation,
  type AnyOperation,
  type Operation,
  type OperationOptions,
  type PayloadInput,
  type PayloadOutput,
  type PayloadSpec,
} from './contract/operation.ts'
export { bytes, json, nothing, string } from './contract/payload.ts'
export { losslessJson } from './contract/lossless-json.ts'
export type {
  AnyPayload,
  DecodeContext,
  EncodeContext,
  Payload,
  PlainPayload,
  Side,
} from './contract/codec.ts'
export {
  deadLetters,
  type DeadLetters,
  type DeadLettersOptions,
  type LetterFilter,
} from './dead-letters/browser.ts'
export { deadLetter, type DeadLetterOptions } from './dead-letters/dead-letter.ts'
export { effectIn, type EffectInOptions } from './dead-letters/effect-in.ts'
export type { LetterDetail } from './dead-letters/letter-headers.ts'
export type { LetterTopic } from './dead-letters/letter-writer.ts'
export type { DeadLetter, WholeDeadLetter } from './dead-letters/letter.ts'
export type { KnownEffect, Replay, ReplayOptions, ReplayVerdict } from './dead-letters/replay.ts'
export type { Replayed } from './dead-letters/replay-log.ts'
export type { FailedOutcome, WhichLetters } from './dead-letters/which.ts'
export type { DurationSummary } from './durations.ts'
export { isMilenaError, type AnyMilenaError } from './error-types.ts'
export { errorCodes, type ErrorCode, type Effect, type ErrorFacts, type SentState } from './error-facts.ts'
export {
  MilenaError,
  OptionsError,
  RemoteError,
  remoteCodes,
  ReplyError,
  TimeoutError,
  TransportError,
  ValidationError,
  type ErrorDetails,
  type RemoteCodes,
  type ReplyErrorOptions,
  type RequestFacts,
  type ValidationIssue,
} from './errors.ts'
export { decodeStoredOutcome, encodeStoredOutcome, type StoredOutcome } from './contract/stored-outcome.ts'
export { correlationKey } from './contract/outcome-query.ts'
export { idempotency, type Idempotency } from './idempotency/idempotency.ts'
export { idempotencyScope } from './idempotency/key.ts'
export type { IdempotencyOptions } from './idempotency/options.ts'
export type { IdempotencyStats } from './idempotency/stats.ts'
export type {
  Claim,
  ClaimOptions,
  Found,
  IdempotencyId,
  IdempotencyStore,
  IdempotencyTransaction,
  RunningEntry,
  StoredEntry,
} from './idempotency/store.ts'
export {
  memoryIdempotencyStore,
  type MemoryIdempotencyStore,
  type MemoryIdempotencyStoreOptions,
  type MemoryIdempotencyStoreStats,
} from './idempotency/memory-store.ts'
export { fileJournal, type FileJournalOptions } from './journal/file-journal.ts'
export {
  journalFailed,
  journalTaken,
  type JournalEntry,
  type JournalHead,
  type JournalOpening,
  type JournalStats,
  type JournalStore,
  type OpenJournal,
  type TakeOver,
} from './journal/journal.ts'
export { replyHeaders } from './replier/answer.ts'
export {
  batchHandler,
  type BatchOptions,
  type BatchRequest,
  type BatchWork,
} from './replier/batch-handler.ts'
export type { Forwarded, HandlerContext } from './replier/context.ts'
export type { ForeignRequest, HandleOptions, SelectOperation } from './replier/dispatch.ts'
export type { BeforeFinish, Finished } from './replier/before-finish.ts'
export type {
  OldestInHand,
  ReplierHealth,
  Standstill,
  StandstillReason,
  StoppedPartition,
  UndeliverableAddress,
} from './replier/health.ts'
export type { AddedBy, Middleware, Next } from './replier/middleware.ts'
export type { ReplierOptions } from './replier/options.ts'
export type { ErrorOutcome, Outcome, PassedOverOutcome, ReplyOutcome } from './replier/outcome.ts'
export type { RawRequest } from './replier/raw-request.ts'
export type { AddedByRecords, NextRecord, RecordMiddleware } from './replier/record-middleware.ts'
export type {
  FurtherTopic,
  OfferedOperation,
  ReplierExtension,
  ReplierOpening,
  ReplierParts,
} from './replier/extension.ts'
export { createReplier, type Handler, type Replier } from './replier/replier.ts'
export type { ReplierOperationStats, PassedOverReason, ReplierStats } from './replier/stats.ts'
export type { Logger } from './warnings.ts'
export type { RandomBytes } from './random.ts'
export type { RequesterOperationStats, OutcomeCounts } from './requester/operation-accounts.ts'
export type { EachResult, EachResults } from './requester/each.ts'
export type { RequestEachOptions } from './requester/each-options.ts'
export { createRequester, type Requester } from './requester/requester.ts'
export {
  requestRecord,
  type RequestRecord,
  type RequestRecordOptions,
} from './requester/standalone-record.ts'
export type { JournaledOperation, RequesterJournalOptions } from './requester/journal-options.ts'
export type { Recovered, RecoveredOf } from './requester/recovered.ts'
export { gatheredIn, type Gathered, type RequestManyOptions } from './requester/gathered.ts'
export type { OutgoingRequest, RequesterOptions } from './requester/options.ts'
export type { FoundOutcome, OutcomeKey, StoredReply } from './requester/outcome.ts'
export type { OutcomeOptions, SentRequest } from './requester/outcome-options.ts'
export type { LateReply, LateReplyOf, Reply, RequestOptions } from './requester/reply.ts'
export type { SendOptions } from './requester/send-options.ts'
export type { PendingRequest, PreparedRequest, RegisterOptions } from './requester/stages.ts'
export type {
  JournalHealth,
  RecoveryCounts,
  ReplyTopicHealth,
  RequesterHealth,
  OneWayCounts,
  RequesterHoldings,
  RequesterStats,
} from './requester/stats.ts'
export { exponential, fixed, type Backoff, type ExponentialOptions } from './retry/backoff.ts'
export { isRetryable, type Retryable } from './retry/classify.ts'
export { originOf, type Origin } from './retry/origin.ts'
export { retry, type RetryOptions } from './retry/retry.ts'
export { retryTopics, type RetryTopicsOptions } from './retry/retry-topics.ts'
export { instanceReplyTopic, type InstanceReplyTopicOptions } from './routing/instance-reply-topic.ts'
export { replyPartition, type ReplyPartitionOptions } from './routing/reply-partition.ts'
export type { OpenReplyRouting, ReplyRouting, RoutingContext } from './routing/routing.ts'
export { sharedReplyTopic, type SharedReplyTopicOptions } from './routing/shared-reply-topic.ts'
export { defineSaga, type AnySaga, type Saga } from './saga/definition.ts'
export type { CompensationOptions, SagaOptions, StepOptions, StepRetry } from './saga/definition-options.ts'
export type { SagaHealth } from './saga/health.ts'
export type { SagasOptions } from './saga/options.ts'
export type { CommandOptions, SagaOutbox, SagaRequester } from './saga/outbox.ts'
export type { SagaDecision, SagaRun } from './saga/runs.ts'
export { MemorySagaStore, type MemoryTransaction } from './saga/memory-store.ts'
export { createSagas } from './saga/open-sagas.ts'
export type { Sagas, StepOutcome } from './saga/sagas.ts'
export { StepError, type StepErrorOptions } from './saga/step-error.ts'
export {
  waitingFor,
  type SagaFailure,
  type SagaState,
  type SagaStatus,
  type StepFailure,
  type StepState,
  type StepStatus,
} from './saga/status.ts'
export { TransactionRefused } from './saga/store.ts'
export type {
  ClaimedSaga,
  SagaChanges,
  SagaClaim,
  SagaCounts,
  SagaFilter,
  SagaPage,
  SagaStore,
  SavedSaga,
} from './saga/store.ts'
export {
  command,
  inTransaction,
  operation,
  type CommandWork,
  type CompensationContext,
  type OperationWork,
  type StepContext,
  type StepFunction,
  type StepWork,
  type TransactionWork,
} from './saga/work.ts'
export { openKafka } from './transport/kafka/open-kafka.ts'
export type { KafkaOptions } from './transport/kafka/options.ts'
export { requireTopic } from './transport/topics.ts'
export type { TransportSource } from './transport/open.ts'
export type {
  GroupMembership,
  GroupOptions,
  IncomingRecord,
  CommittedOffset,
  OutgoingRecord,
  ReadingListener,
  RecordPosition,
  StartPosition,
  Tail,
  TailOptions,
  TopicDescription,
  TopicPartition,
  TopicSpec,
  Transport,
  Trouble,
  TroubleKind,
  UnreadableRange,
} from './transport/transport.ts'
export { encodeHeaders, MessageHeaders, type HeaderInput, type RawHeader } from './wire/headers.ts'
export type { WireError } from './wire/milena.ts'
export { nestProfile } from './wire/nest.ts'
export type { ReplyAddress, ReplyRequest, WireProfile } from './wire/profile.ts'
export { smallryeProfile } from './wire/smallrye.ts'
export { springProfile } from './wire/spring.ts'
export { springTextProfile } from './wire/spring-text.ts'
