import axios from 'axios'
import { z } from 'zod'
import { LoopfleetError, messageOf } from '../../base/index.js'
import {
  evaluationSchema,
  imagesViewSchema,
  inputAnswerSchema,
  type LoopImage,
  nodesViewSchema,
  projectsViewSchema,
  type TrainingView,
  trainingsViewSchema,
} from './loop-views.js'

/** A person at the local Loop, as far as the demo needs one: makes a project, orders a training, looks at results. */
export type LoopControl = {
  readonly organization: string
  generate(config: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<void>
  /** Resolves when a trainer is connected and idle. */
  waitForTrainer(signal: AbortSignal): Promise<string>
  order(project: string, order: Readonly<Record<string, unknown>>): Promise<number>
  training(project: string, number: number): Promise<TrainingView>
  nodeState(id: string): Promise<string>
  /** Resolves when the node is connected. */
  waitForNode(id: string, signal: AbortSignal): Promise<void>
  /** What detectors of the project are to run. */
  deploy(project: string, modelId: string): Promise<void>
  images(project: string, query: { readonly state: string; readonly limit: number }): Promise<readonly LoopImage[]>
  imageCount(project: string, state: string): Promise<number>
  /** A JPEG. */
  image(project: string, id: string): Promise<Buffer>
  category(project: string, id: string): Promise<Readonly<Record<string, unknown>>>
  /** What a person does in the Loop's image editor; throws LF_DEMO_FAILED when the annotator refuses it. */
  userInput(node: string, data: Readonly<Record<string, unknown>>): Promise<void>
  evaluation(project: string, version: string): Promise<z.infer<typeof evaluationSchema>>
}

export const ORGANIZATION = 'demo'
const orderAnswerSchema = z.object({
  training_number: z.number(),
  ack: z.object({ success: z.boolean(), error_msg: z.string().nullish() }).nullish(),
})

export function createLoopControl(url: string, sleep: (ms: number, signal: AbortSignal) => Promise<void>): LoopControl {
  const http = axios.create({ baseURL: url, proxy: false, timeout: 120_000 })
  const read = async <Schema extends z.ZodType>(path: string, schema: Schema) =>
    schema.parse((await http.get(path)).data)

  const imagesOf = (project: string, state: string, limit: number) =>
    read(`/api/local/${ORGANIZATION}/${project}/images?state=${state}&limit=${limit}`, imagesViewSchema)

  return {
    organization: ORGANIZATION,
    async generate(config, signal) {
      await http.post(`/api/${ORGANIZATION}/projects/generator`, config, { signal })
    },
    async waitForTrainer(signal) {
      for (;;) {
        const { nodes } = await read('/api/local/nodes', nodesViewSchema)
        const idle = nodes.find((node) => node.connected && node.state === 'idle')
        if (idle !== undefined) return idle.id
        await sleep(100, signal)
      }
    },
    async order(project, order) {
      const path = `/api/local/${ORGANIZATION}/${project}/trainings`
      const { data } = await http.post(path, order).catch((error: unknown) => {
        throw new LoopfleetError('LF_DEMO_FAILED', `The Loop could not order a training: ${messageOf(error)}`)
      })
      const { training_number, ack } = orderAnswerSchema.parse(data)
      if (ack?.success === true) return training_number
      throw new LoopfleetError('LF_DEMO_FAILED', `The trainer refused the order: ${ack?.error_msg ?? 'no reason'}`)
    },
    async training(project, number) {
      const { trainings } = await read('/api/local/trainings', trainingsViewSchema)
      const found = trainings.find((training) => training.project === project && training.number === number)
      if (found === undefined) throw new LoopfleetError('LF_DEMO_FAILED', `The Loop has lost training ${number}.`)
      return found
    },
    async nodeState(id) {
      const { nodes } = await read('/api/local/nodes', nodesViewSchema)
      return nodes.find((node) => node.id === id)?.state ?? 'gone'
    },
    async waitForNode(id, signal) {
      for (;;) {
        const { nodes } = await read('/api/local/nodes', nodesViewSchema)
        if (nodes.some((node) => node.id === id && node.connected)) return
        await sleep(100, signal)
      }
    },
    async deploy(project, model_uuid) {
      await http.put(`/api/local/${ORGANIZATION}/${project}/deployment/target`, { model_uuid })
    },
    images: async (project, { state, limit }) => (await imagesOf(project, state, limit)).images,
    imageCount: async (project, state) => (await imagesOf(project, state, 1)).total,
    async image(project, id) {
      const path = `/api/${ORGANIZATION}/projects/${project}/images/${id}/main`
      const { data } = await http.get<Buffer>(path, { responseType: 'arraybuffer' })
      return data
    },
    async category(project, id) {
      const { projects } = await read('/api/local/projects', projectsViewSchema)
      const found = projects.find((each) => each.project === project)?.categories.find((each) => each.id === id)
      if (found === undefined) throw new LoopfleetError('LF_DEMO_FAILED', `The Loop has no category ${id}.`)
      return found
    },
    async userInput(node, data) {
      const answer = await http.post(`/api/local/nodes/${node}/user-input`, { frontend_id: 'demo', data })
      const { ack } = inputAnswerSchema.parse(answer.data)
      if (ack?.success === true) return
      throw new LoopfleetError('LF_DEMO_FAILED', `The annotator refused an input: ${ack?.error_msg ?? 'no answer'}`)
    },
    evaluation: (project, version) =>
      read(
        `/api/local/${ORGANIZATION}/${project}/evaluation?model_version=${encodeURIComponent(version)}`,
        evaluationSchema,
      ),
  }
}
