import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { safePathSegment } from '../../../base/index.js'
import type { LoopContext } from '../context.js'
import { RefusedError } from '../refused-error.js'
import type { Project } from '../store/project.js'

const paramsSchema = z.record(z.string(), z.string())

/** A part of the route's path, checked to be a plain name. */
export function param(request: FastifyRequest, key: string): string {
  const value = paramsSchema.parse(request.params)[key] ?? ''
  try {
    return safePathSegment(value)
  } catch {
    throw new RefusedError(422, `${key}: ${JSON.stringify(value)} is not allowed.`)
  }
}

/** A whole number in the route's path. */
export function numberParam(request: FastifyRequest, key: string): number {
  const value = param(request, key)
  if (!/^\d{1,9}$/.test(value)) throw new RefusedError(422, `${key}: ${JSON.stringify(value)} must be a whole number.`)
  return Number(value)
}

/** A value of the query string; undefined when it is missing or empty. */
export function queryValue(request: FastifyRequest, key: string): string | undefined {
  const query: unknown = request.query
  if (typeof query !== 'object' || query === null || !Object.hasOwn(query, key)) return undefined
  const value: unknown = (query as Record<string, unknown>)[key]
  const first: unknown = Array.isArray(value) ? value[0] : value
  return typeof first === 'string' && first !== '' ? first : undefined
}

/** The project that the path names; a refusal (404) when there is none. */
export function projectOf(context: LoopContext, request: FastifyRequest): Project {
  return context.store.project(param(request, 'o'), param(request, 'p'))
}
