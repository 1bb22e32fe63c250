export PUSH_QUEUE_REDIS_URL=redis://localhost:6379
export PUSH_QUEUE_WEBHOOKS='{"ci": {"url": "https://ci.example.com/hooks/push", "secret": "whsec_dGhlIHNlY3JldCBvZiB0aGUgZG9jdW1lbnRz"}}'
push-worker &
until push-queue webhooks --json | jq --exit-status 'length > 0'; do sleep 0.1; done
