import { z } from 'zod'
import { readJsonFile, writeJsonFile } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import { isSameModel, type ModelTarget, modelTargetSchema } from './target.js'

const notesSchema = z.strictObject({
  loading: modelTargetSchema.nullable(),
  deaths: z.array(z.strictObject({ target: modelTargetSchema, count: z.int().min(1) })),
})
type Notes = z.infer<typeof notesSchema>

const MOST_REMEMBERED = 20

/** Remembers on disk which model is being loaded, since a bad one can take the whole process with it. */
export class LoadAttempts {
  readonly #path: string
  readonly #log: Logger
  #notes: Notes = { loading: null, deaths: [] }

  constructor(path: string, deps: { readonly log: Logger }) {
    this.#path = path
    this.#log = deps.log
  }

  /** Reads what the processes before left; a load that was never finished counts as a death. */
  async open(): Promise<void> {
    const notes = await readJsonFile(this.#path, notesSchema).catch((err: unknown) => {
      this.#log.warn({ err }, 'which models ended the process is forgotten')
      return undefined
    })
    if (notes === undefined) return
    this.#notes = notes
    if (notes.loading === null) return
    const dead = { target: notes.loading, count: this.deathsOf(notes.loading) + 1 }
    await this.#write({ loading: null, deaths: [dead, ...this.#othersThan(dead.target)] })
  }

  /** The models during whose loading the process ended, and how often. */
  get deaths(): Notes['deaths'] {
    return this.#notes.deaths
  }

  deathsOf(target: ModelTarget): number {
    return this.#notes.deaths.find((death) => isSameModel(death.target, target))?.count ?? 0
  }

  /** Loads with a note of it on disk. A load that comes to an end, good or bad, makes the model's deaths forgotten. */
  async during<T>({ id, version }: ModelTarget, load: () => Promise<T>): Promise<T> {
    const target = { id, version }
    await this.#write({ ...this.#notes, loading: target })
    try {
      return await load()
    } finally {
      await this.#write({ loading: null, deaths: this.#othersThan(target) })
    }
  }

  #othersThan(target: ModelTarget): Notes['deaths'] {
    return this.#notes.deaths.filter((death) => !isSameModel(death.target, target)).slice(0, MOST_REMEMBERED - 1)
  }

  // A full disk must not keep a good model from being loaded.
  async #write(notes: Notes): Promise<void> {
    this.#notes = notes
    await writeJsonFile(this.#path, notes).catch((err: unknown) =>
      this.#log.warn({ err }, 'the load of a model cannot be noted'),
    )
  }
}
