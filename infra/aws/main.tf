# SmartRecover on AWS: one installation. Each module is one thing; here they are put together.

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      Project     = "smartrecover"
      Environment = var.environment
    }
  }
}

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

locals {
  name       = "smartrecover-${var.environment}"
  services   = toset(["risk", "debt"])
  account_id = data.aws_caller_identity.this.account_id
  partition  = data.aws_partition.this.partition

  console = var.console == null ? toset([]) : toset(["console"])
  # What seals its sessions, and the issuer's secret for it where there is one.
  console_secrets = var.console == null ? toset([]) : toset(var.console.oidc_client_secret ? ["session", "oidc-client"] : ["session"])

  processes = merge({
    risk-api   = { service = "risk", port = 8001 }
    dispatcher = { service = "risk", port = null }
    debt-api   = { service = "debt", port = 8002 }
    consumer   = { service = "debt", port = null }
  }, { for name in local.console : name => { service = null, port = 8003 } })
}

module "secrets" {
  source = "./modules/secrets"

  name          = local.name
  region        = var.region
  account_id    = local.account_id
  partition     = local.partition
  services      = local.services
  console       = local.console_secrets
  recovery_days = var.protected ? 30 : 0
}

module "network" {
  source = "./modules/network"

  name          = local.name
  region        = var.region
  cidr          = var.cidr
  zones         = var.zones
  public        = var.public
  allowed_cidrs = var.allowed_cidrs
  issuer_cidrs  = var.auth.mode == "oidc" ? var.auth.oidc_issuer_cidrs : []
  account_id    = local.account_id
  partition     = local.partition
  processes     = local.processes
  kms_key_arn   = module.secrets.key_arn
  log_days      = var.log_days
}

module "queues" {
  source = "./modules/queues"

  name        = local.name
  kms_key_arn = var.queue_encryption == "kms" ? module.secrets.key_arn : null
}

# An instance for each service, and not one for both: they fail, grow and are maintained apart, a heavy run does not slow the
# risk API, and the network itself keeps a service from the other's data. The price is a second instance.
module "database" {
  source   = "./modules/database"
  for_each = local.services

  name                 = "${local.name}-${each.key}"
  subnet_ids           = module.network.private_subnet_ids
  group_id             = module.network.database_group_ids[each.key]
  kms_key_arn          = module.secrets.key_arn
  instance_class       = var.databases[each.key].instance_class
  storage_gb           = var.databases[each.key].storage_gb
  max_storage_gb       = var.databases[each.key].max_storage_gb
  max_connections      = var.databases[each.key].max_connections
  multi_az             = var.databases[each.key].multi_az
  performance_insights = var.databases[each.key].performance_insights
  backup_days          = var.backup_days
  protected            = var.protected
  apply_immediately    = !var.protected
  log_days             = var.log_days
}

module "registry" {
  source = "./modules/registry"

  name        = local.name
  kms_key_arn = module.secrets.key_arn
}

module "roles" {
  source = "./modules/roles"

  name               = local.name
  region             = var.region
  account_id         = local.account_id
  partition          = local.partition
  queue_arns         = module.queues.arns
  queue_key_arn      = var.queue_encryption == "kms" ? module.secrets.key_arn : null
  repository_arn     = module.registry.arn
  database_url_arns  = module.secrets.database_url_arns
  owner_url_arns     = module.secrets.owner_url_arns
  message_keys_arn   = module.secrets.message_keys.arn
  master_secret_arns = { for service, database in module.database : service => database.master_secret_arn }
  console_arns       = module.secrets.console_arns
  key_arn            = module.secrets.key_arn
}

module "services" {
  source = "./modules/services"

  name         = local.name
  region       = var.region
  image        = "${module.registry.url}@${var.image_digest}"
  architecture = var.architecture
  running      = var.running

  sizes                 = merge(var.sizes, { for name in local.console : name => { cpu = var.console.cpu, memory = var.console.memory, count = var.console.count } })
  consumers_most        = var.consumers.most
  consumers_backlog     = var.consumers.backlog
  consumers_age_seconds = var.consumers.age_seconds
  consumers_on_spot     = var.consumers.on_spot

  vpc_id             = module.network.vpc_id
  private_subnet_ids = module.network.private_subnet_ids
  process_group_ids  = module.network.process_group_ids
  balancer = {
    public          = var.public
    subnet_ids      = module.network.balancer_subnet_ids
    cidrs           = module.network.balancer_cidrs
    group_id        = module.network.balancer_group_id
    certificate_arn = var.certificate_arn
    protected       = var.protected
    web_acl_arn     = var.web_acl_arn
  }

  queues = {
    names              = module.queues.names
    visibility_seconds = module.queues.visibility_seconds
    max_receives       = module.queues.max_receives
  }
  secrets = {
    database_urls = module.secrets.database_url_arns
    owner_urls    = module.secrets.owner_url_arns
    message_keys  = module.secrets.message_keys.arn
    masters       = { for service, database in module.database : service => database.master_secret_arn }
    console       = module.secrets.console_arns
  }
  roles = {
    process = module.roles.process_role_arns
    start   = module.roles.start_role_arns
  }

  auth           = var.auth
  console        = var.console == null ? null : merge(var.console, { url = "https://${var.domain}" })
  unsigned_until = var.unsigned_until
  tuning         = var.tuning
  kms_key_arn    = module.secrets.key_arn
  log_days       = var.log_days

  # Not before the network leads to what a task needs when it starts, and its roles may.
  depends_on = [module.network, module.roles]
}

module "watching" {
  source = "./modules/watching"

  name       = local.name
  region     = var.region
  account_id = local.account_id
  cluster    = module.services.cluster
  services   = module.services.services
  balancer = {
    metric  = module.services.balancer.metric
    targets = module.services.balancer.targets
  }
  queues = module.queues.names
  databases = { for service, database in module.database : service => {
    id              = database.id
    max_connections = var.databases[service].max_connections
  } }
  kms_key_arn = module.secrets.key_arn
  emails      = var.emails
  enabled     = var.running
  limits      = var.alarm_limits
}

module "budget" {
  source = "./modules/budget"

  name        = local.name
  monthly_usd = var.monthly_usd
  topic_arn   = module.watching.topic_arn
  tag         = { key = "Environment", value = var.environment }
}
