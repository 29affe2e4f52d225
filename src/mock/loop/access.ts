import { type EventEmitter, once } from 'node:events'
import type { LoopContext } from './context.js'
import type { Effect, EffectKind } from './effects.js'
import type { FaultRule } from './faults/fault-rule.js'
import type { ActiveFault } from './faults/faults.js'
import { addProject, type GeneratedAnswer, type LocalGeneratorConfig } from './generated/add-project.js'
import { type Evaluation, evaluate } from './local/evaluation.js'
import { allTrainings, type TrainingView } from './local/views.js'
import { modelById, modelEntries } from './models/model-list.js'
import type { LoopNode } from './nodes.js'
import { endTraining, type OrderAnswer, orderTraining, type TrainingRequest } from './trainings/orders.js'

/** What a program that has started a local Loop can do with it without going through HTTP. */
export type LoopAccess = {
  /** Generates a project; the organization is `zauberzeug` if none is named. */
  generate(config: LocalGeneratorConfig & { readonly organization?: string }): Promise<GeneratedAnswer>
  effects(filter?: { readonly kind?: EffectKind; readonly key?: string }): readonly Effect[]
  nodes(): readonly LoopNode[]
  node(id: string): LoopNode | undefined
  trainings(organization?: string, project?: string): readonly TrainingView[]
  training(organization: string, project: string, number: number): TrainingView | undefined
  models(organization: string, project: string): ReturnType<typeof modelEntries>
  orderTraining(organization: string, project: string, request?: TrainingRequest): Promise<OrderAnswer>
  stopTraining(organization: string, project: string, number: number): Promise<{ readonly ack: unknown }>
  abortTraining(organization: string, project: string, number: number): Promise<{ readonly ack: unknown }>
  setTarget(organization: string, project: string, modelId: string | null): Promise<void>
  evaluate(organization: string, project: string, modelVersion?: string, iou?: number): Evaluation
  addFault(rule: FaultRule): ActiveFault
  /** What is injected now, with how often it fitted and how often it was done. */
  faults(): readonly ActiveFault[]
  clearFaults(id?: number): void
  expireSessions(): void
  /** Cuts all sockets, as a server that goes down does. */
  dropSockets(): void
  /** The first truthy value of `check`, which is asked again after every change; rejects with the signal. */
  until<T>(check: () => T | undefined | null | false, options: { readonly signal: AbortSignal }): Promise<T>
}

export function toAccess(context: LoopContext, changes: EventEmitter): LoopAccess {
  const trainings = (organization?: string, project?: string) =>
    allTrainings(context).filter(
      (training) =>
        (organization ?? training.organization) === training.organization &&
        (project ?? training.project) === training.project,
    )
  const projectOf = (organization: string, project: string) => context.store.project(organization, project)
  return {
    generate: async ({ organization = 'zauberzeug', ...config }) => {
      const generated = await addProject(context, organization, config)
      context.changed()
      return generated
    },
    effects: (filter) => context.effects.list(filter),
    nodes: () => context.nodes.list(),
    node: (id) => context.nodes.get(id),
    trainings,
    training: (o, p, number) => trainings(o, p).find((training) => training.number === number),
    models: (o, p) => modelEntries(projectOf(o, p)),
    orderTraining: (o, p, request) => orderTraining(context, projectOf(o, p), request),
    stopTraining: (o, p, number) => endTraining(context, projectOf(o, p), number, 'stop'),
    abortTraining: (o, p, number) => endTraining(context, projectOf(o, p), number, 'abort'),
    setTarget: async (o, p, modelId) => {
      const project = projectOf(o, p)
      project.record.target = modelId === null ? null : modelById(project, modelId).id
      await project.save()
      context.changed()
    },
    evaluate: (o, p, modelVersion, iou = 0.5) => evaluate(projectOf(o, p), modelVersion, iou),
    addFault: (rule) => context.faults.add(rule),
    faults: () => context.faults.list(),
    clearFaults: (id) => context.faults.clear(id),
    expireSessions: () => context.sessions.expireAll(),
    dropSockets: () => context.sockets.disconnectSockets(true),
    until: async (check, { signal }) => {
      for (;;) {
        const value = check()
        if (value) return value
        await once(changes, 'changed', { signal })
      }
    },
  }
}
