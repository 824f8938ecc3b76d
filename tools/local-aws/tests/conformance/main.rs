//! One suite, four targets: the cloud in process, the same with a folder, the
//! same over a port, and LocalStack where `LOCALSTACK_ENDPOINT` says where it is. A check that
//! passes on all of them is what the product may rely on.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test fails it")]

mod conditions;
mod listing;
mod objects;
mod queues;
mod receiving;
mod redrive;
mod sending;
mod target;
mod uploads;

/// Makes one test of each check for each target.
macro_rules! conformance {
    ($($module:ident: $($check:ident,)*;)*) => {
        $(mod $module {
            mod in_process {
                $(#[tokio::test]
                async fn $check() {
                    crate::$module::$check(&crate::target::Target::in_process()).await;
                })*
            }
            mod in_a_folder {
                $(#[tokio::test]
                async fn $check() {
                    crate::$module::$check(&crate::target::Target::in_a_folder()).await;
                })*
            }
            mod over_a_port {
                $(#[tokio::test]
                async fn $check() {
                    crate::$module::$check(&crate::target::Target::over_a_port().await).await;
                })*
            }
            mod on_localstack {
                $(#[tokio::test]
                async fn $check() {
                    match crate::target::Target::localstack() {
                        Some(target) => crate::$module::$check(&target).await,
                        None => println!("skipped: LOCALSTACK_ENDPOINT is not set"),
                    }
                })*
            }
        })*
    };
}

mod suite {
    conformance! {
        queues:
            creating_a_queue_again_gives_its_url_unless_an_attribute_differs,
            names_and_attributes_outside_their_limits_are_refused,
            a_queue_that_is_not_there_is_named_by_its_error,
            queues_are_listed_by_prefix_and_page_by_page,
            a_deleted_queue_is_gone_and_a_purged_one_empty,
            attributes_have_their_defaults_and_can_be_changed,
        ;
        sending:
            a_message_carries_its_body_attributes_and_md5s,
            only_the_attributes_asked_for_are_delivered,
            a_batch_outside_its_limits_is_refused_as_a_whole,
            a_mebibyte_is_the_limit_of_a_message_and_of_a_batch,
            a_queue_can_have_a_smaller_limit_and_a_batch_fails_entry_by_entry,
            characters_outside_xml_are_refused,
        ;
        receiving:
            receive_parameters_outside_their_range_are_refused,
            a_long_poll_is_woken_by_a_send_and_ends_empty_without_one,
            a_delayed_message_comes_after_its_delay,
            an_undeleted_message_returns_and_its_old_handle_does_nothing,
            an_expired_handle_deletes_what_was_not_received_again,
            visibility_can_be_changed_while_in_flight_only,
            handles_that_are_none_are_refused_singly,
            ten_messages_are_received_and_deleted_in_one_batch_each,
        ;
        redrive:
            a_message_received_too_often_goes_to_the_dead_letter_queue,
            a_redrive_policy_needs_a_queue_that_exists,
        ;
        objects:
            buckets_are_created_listed_and_deleted,
            an_object_comes_back_with_what_was_said_of_it,
            what_is_not_there_is_named_by_its_error,
            objects_are_deleted_singly_and_in_batches,
            a_copy_keeps_or_replaces_what_is_said_of_the_object,
            a_digest_that_differs_is_refused,
            checksums_of_every_algorithm_are_checked_and_kept,
            a_streamed_body_with_its_checksum_in_a_trailer_is_stored_plain,
            an_empty_object_is_an_object,
        ;
        conditions:
            ranges_are_read_as_asked,
            reads_can_be_conditional,
            writes_can_be_conditional,
            of_24_creators_of_one_key_one_wins,
            of_24_replacers_of_one_version_one_wins,
        ;
        listing:
            pages_list_every_key_once,
            a_delimiter_gives_each_common_prefix_once_over_all_pages,
            a_listing_starts_after_a_key,
            unusual_keys_survive_writing_listing_and_reading,
        ;
        uploads:
            parts_become_one_object,
            parts_out_of_order_missing_or_too_small_are_refused,
            an_aborted_upload_leaves_nothing,
            part_checksums_become_one_of_the_whole,
            an_upload_can_be_completed_on_a_condition,
        ;
    }
}
