export PUSH_QUEUE_REDIS_URL=redis://localhost:6379
leave-old-webhook
push-worker &
push-queue enqueue app.tar --to reg.example.com/team/app:1.0 --id build-4711 --wait
push-queue enqueue app.tar --to reg.example.com/team/app:1.0 --id build-4712 --wait
