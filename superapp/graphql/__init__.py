"""The base every app's part of the GraphQL API stands on. Conventions for front ends are in docs/graphql.md."""
