import { z } from 'zod'
import {
  aboutAnswerSchema,
  autouploads,
  type Dialect,
  detectionsSchema,
  imageMetadataSchema,
  modelVersionAnswerSchema,
  operationModes,
  outboxModes,
} from '../../loop/protocol/index.js'

// For the page only: requests are checked by the schemas of the parts, and answers are sent as they are.

const header = (description: string) => ({ type: 'string', description })
const failed = {
  type: 'object',
  properties: { detail: { description: 'What is wrong, as a sentence or a list of fields.' } },
}
const failures = {
  400: { description: 'The image cannot be read.', ...failed },
  413: { description: 'The body or the image is too large.', ...failed },
  422: { description: 'A value is missing or wrong.', ...failed },
  503: { description: 'No model yet, an update, or too much to do; Retry-After says when to come again.', ...failed },
}

export function detectDocs(dialect: Dialect): object {
  const answer = dialect === '0.8' ? detectionsSchema : imageMetadataSchema
  return {
    tags: ['detection'],
    summary: 'Look at one image',
    consumes: ['multipart/form-data'],
    body: files('file', { type: 'string', format: 'binary' }),
    headers: {
      type: 'object',
      properties: {
        'camera-id': header('Which camera it is from; histories of what is new are kept per camera.'),
        tags: header('Tags for the Loop, separated by commas.'),
        source: header('Where the image comes from.'),
        'creation-date': header('When it was taken (ISO 8601).'),
        autoupload: { type: 'string', enum: [...autouploads], description: 'What the Loop is to see.' },
      },
    },
    response: { 200: jsonOf(answer, 'What was found.'), ...failures },
  }
}

export const uploadDocs = {
  tags: ['detection'],
  summary: 'Send images to the Loop',
  consumes: ['multipart/form-data'],
  body: files('files', { type: 'array', items: { type: 'string', format: 'binary' } }),
  querystring: {
    type: 'object',
    properties: {
      source: { type: 'string' },
      creation_date: { type: 'string', description: 'ISO 8601.' },
      upload_priority: { type: 'boolean', description: 'Goes before all others.' },
    },
  },
  response: { 200: { type: 'array', items: {}, description: '`[200, "OK"]`: the images are on disk.' }, ...failures },
}

export const modeDocs = {
  about: answers('The model that runs, the one that is wanted, and the modes', jsonOf(aboutAnswerSchema, 'Modes.')),
  operationMode: answers('The operation mode', word(operationModes)),
  setOperationMode: takes('`idle` allows model updates, `detecting` holds them back', operationModes),
  modelVersion: answers('Versions of the model', jsonOf(modelVersionAnswerSchema, 'Versions.')),
  setModelVersion: takes('Follow the Loop, pause, or pin a version', ['follow_loop', 'pause', '1.2']),
  outboxMode: answers('Whether images are sent to the Loop', word(outboxModes)),
  setOutboxMode: takes('Send images to the Loop, or keep them', outboxModes),
}

export const watchDocs = {
  health: answers('Whether the detector lives, and whether it is ready', {
    type: 'object',
    description: 'Always 200.',
    properties: { status: { type: 'string' }, ready: { type: 'boolean' }, model: { type: 'string', nullable: true } },
  }),
  metrics: answers('Figures for Prometheus', { type: 'string', description: 'Text format.' }),
}

/** The probes, which every server has, so that they are no routes of the detector. */
export const probeDocs = {
  '/health/live': {
    get: { tags: ['state'], summary: 'Whether the process lives', responses: { 200: { description: 'It does.' } } },
  },
  '/health/ready': {
    get: {
      tags: ['state'],
      summary: 'Whether the detector can work',
      responses: {
        200: { description: 'It has a model.' },
        503: { description: 'Not yet, or it is stopping; `reason` says why.' },
      },
    },
  },
}

function files(name: string, schema: object): object {
  return { type: 'object', required: [name], properties: { [name]: schema } }
}

function jsonOf(schema: z.core.$ZodType, description?: string): object {
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    unrepresentable: 'any',
    io: 'output',
    target: 'openapi-3.0',
    override({ zodSchema, jsonSchema }) {
      const { def } = zodSchema._zod
      // What a transform gives has no schema. Those of the wire make a list of a list that may be missing.
      if (def.type === 'pipe' && def.out._zod.def.type === 'transform') {
        Object.assign(jsonSchema, jsonOf(def.in), { nullable: undefined })
      }
      // The limits of whole numbers in JavaScript are of no use in the page, and would become the example.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
    },
  })
  return description === undefined ? json : { ...json, description }
}

function answers(summary: string, answer: object): object {
  return { tags: ['state'], summary, response: { 200: answer } }
}

function takes(summary: string, examples: readonly string[]): object {
  return {
    tags: ['state'],
    summary,
    consumes: ['text/plain'],
    body: { type: 'string', examples: [...examples] },
    response: { 200: { type: 'string', description: 'OK' }, 422: failures[422] },
  }
}

function word(values: readonly string[]): object {
  return { type: 'string', enum: [...values], description: 'One word, as plain text.' }
}
