import { z } from 'zod'

/** An optional value of the wire: read as null when missing, and always sent, as an explicit null. */
export function orNull<Schema extends z.ZodType>(schema: Schema): z.ZodDefault<z.ZodNullable<Schema>> {
  // The cast only says that null fits a nullable schema, which a generic parameter hides from the compiler.
  return schema.nullable().default(null as z.core.util.NoUndefined<z.output<z.ZodNullable<Schema>>>)
}

/** A list that may be missing or null on the wire; it reads as an empty one. */
export function listOf<Schema extends z.ZodType>(schema: Schema) {
  return z
    .array(schema)
    .nullish()
    .transform((list) => list ?? [])
}
